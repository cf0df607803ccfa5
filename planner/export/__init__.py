"""A plan as text for who keeps machines: manifests of Kubernetes, a cluster of Ray.

`deployment_of` reads off a plan what has to stand where (`Deployment`), and knows nothing of either; `kubernetes` and
`ray` write that down. All of it is data to data: nothing is asked, equal plans give equal bytes, and no secret comes in
that could leave by a file.
"""
