#!/bin/sh
# Node for the npm scripts: the checkout's own where there is one, else the host's, which the set-up found new enough.
# A path rather than a name, because a shell remembers where it found `node` before the set-up brought a newer one.
case $0 in
  */*) root=${0%/*}/.. ;;
  *) root=.. ;;
esac
node=$root/node_modules/.bin/node
[ -x "$node" ] || node=node
exec "$node" "$@"
