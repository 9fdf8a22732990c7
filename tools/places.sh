# Where the scripts of this project keep what they fetch or build beside the source. Sourced, not run.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ottla
venv=$cache/venv                # Python's clients and Go
maven_repository=$cache/maven   # what Maven downloads
