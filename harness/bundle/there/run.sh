#!/bin/sh
# Runs the studies of this bundle: sh run.sh --help. PYTHON names the interpreter, else one on the PATH is looked for.
cd "$(dirname "$0")" || exit 2
version=PYTHON_VERSION
for python in "$PYTHON" python python3 "python$version"; do
    [ -n "$python" ] || continue
    "$python" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null && exec "$python" -m there "$@"
done
echo "run.sh: no Python $version here: name one with PYTHON=/path/to/python$version" >&2
exit 2
