"""What the end-to-end tests, the demo and the benchmark share.

- `kube`: kubectl, and waiting.
- `target`: the cluster to run on: the local one, kind, or whatever KUBECONFIG names.
- `operator`: the operator as a process under its service account's rights, installed from the chart.
- `installation`: a cluster with the operator's own image, to be installed by Helm.
- `recorder`: every change of every pod of a namespace, as a watch shows it.
- `workloads`: manifests.
- `crash`: how a container is made to end.
"""
