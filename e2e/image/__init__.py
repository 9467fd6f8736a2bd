"""The operator's image, built from the Dockerfile without Docker, for the tests that run it.

- `base`: the base image, made from Debian's packages of this machine's own release.
- `wheels`: the locked dependencies, fetched with pip as it is configured here.
- `build`: buildah, which does the rest without a network.

The base and the layer with the dependencies are kept in the cache; a change of the operator's code builds a thin layer.
"""

from e2e.image.build import IMAGE, build, why_not

__all__ = ["IMAGE", "build", "why_not"]
