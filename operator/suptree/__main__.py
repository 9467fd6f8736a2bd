"""`python -m suptree` runs the operator."""

from suptree.app.main import main

if __name__ == "__main__":
    main()
