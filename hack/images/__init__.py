"""Operator and worker images from the Dockerfiles in images/, with no registry of images.

`make images` builds both; `hack.e2e` builds them and puts them into the cluster. buildah and
mmdebstrap come from Debian; the base image is Debian's own, from this machine's apt sources. What
is made stays in `$XDG_CACHE_HOME/scalingsweep/images`, a storage of buildah's: the layer of
dependencies (5 GB with the CUDA build of torch) is made once for a constraints.txt.

`base` and `registry` → `build` → `push`, `deliver` → `__main__`.
"""
