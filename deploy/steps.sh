#!/bin/sh
# The steps from a fresh Debian (bookworm, trixie) or Ubuntu to Liminal: the ones in README, for people, for a fresh root
# (deploy/fresh_system.sh) and for the image (deploy/Dockerfile).
#
#   deploy/steps.sh system     as root: what README asks of a system: Python with venv, make, and certificates
#   deploy/steps.sh app        as an ordinary user, in the checkout: README's first command, but for opening the app
#   deploy/steps.sh open       open the app on every address of this machine (port: LIMINAL_PORT, 8501)
#   deploy/steps.sh test       README's second command
set -eu
cd "$(dirname "$0")/.."
case "${1:-}" in
  system)
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ca-certificates make python3 python3-venv >/dev/null
    ;;
  app) make install ;;
  open) exec .venv/bin/python -m streamlit run app.py --server.address 0.0.0.0 --server.port "${LIMINAL_PORT:-8501}" ;;
  test) make test ;;
  *)
    sed -n 's/^#   /  /p' "$0" >&2
    exit 2
    ;;
esac
