"""`kubectl suptree`: what a tree is doing and why, and the way on for one that has parked."""
