#!/bin/sh
# Makes the virtual environment: bootstrap.sh FOLDER REQUIREMENTS...
# Half an environment is never left behind; whoever cannot go on is told why in one sentence.
set -u

folder=$1
shift
stamp=$folder/.complete
wanted=$(cat "$@" pyproject.toml | cksum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0

fail() {
    rm -rf "$folder"
    echo "infiniloop: $1" >&2
    exit 1
}

# An interrupted first run leaves nothing either.
trap 'fail "The setup was interrupted; run the same command again."' INT TERM HUP

# The newest Python that is new enough and can make environments; uv brings its own where there is none.
python=
for candidate in python3.14 python3.13 python3.12 python3.11 python3; do
    if command -v "$candidate" >/dev/null 2>&1 &&
        "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
        found=$candidate
        if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            python=$candidate
            break
        fi
    fi
done

rm -rf "$folder"
echo "Setting up $folder (the first time only; it takes a minute or two) …" >&2
if [ -n "$python" ]; then
    "$python" -m venv "$folder" || fail "The environment could not be made with $python; see the message above."
elif command -v uv >/dev/null 2>&1; then
    uv venv --quiet --seed --python '>=3.11,<3.15' "$folder" ||
        fail "uv could not bring a Python; install Python 3.11 or newer."
elif [ -n "${found:-}" ]; then
    fail "$found is here but its venv module is not; install it (Debian, Ubuntu: apt install python3-venv) or install uv."
else
    fail "Python 3.11 to 3.14 is needed and none was found; install one (Ubuntu 22.04: apt install python3.11-venv) or install uv."
fi

set -- $(for file in "$@"; do printf -- '-r %s ' "$file"; done)
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes "$@" ||
    fail "The packages could not be installed; see the message above, check the network and run the same command again."
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . ||
    fail "The station itself could not be installed; see the message above."
echo "$wanted" >"$stamp"
