#!/bin/sh
# Makes static/vendor/openseadragon/ again from the npm package, which must be the one pinned here.
# Usage: static/vendor/vendor.sh (needs npm and openssl)
set -eu

VERSION=6.1.1
INTEGRITY=sha512-g4iKe2q8B642SaBT3+x4ZF3/8b1TxPPydyjmtrOLgDrlYWMKd9ZXM+1Cb/xa9DVySkvs/7l6HR1nHKfD5F3Tsw==

target=$(cd "$(dirname "$0")" && pwd)/openseadragon
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$work"
npm pack --silent "openseadragon@$VERSION" >/dev/null
tarball="openseadragon-$VERSION.tgz"
found="sha512-$(openssl dgst -sha512 -binary "$tarball" | openssl base64 -A)"
if [ "$found" != "$INTEGRITY" ]; then
    echo "openseadragon@$VERSION is not the package we pinned: $found" >&2
    exit 1
fi
tar -xzf "$tarball"

mkdir -p "$target"
cp package/build/openseadragon/openseadragon.min.js package/LICENSE.txt "$target/"
cd "$target"
chmod 644 openseadragon.min.js LICENSE.txt
cat >README.md <<EOF
# OpenSeadragon $VERSION

Unchanged files of the npm package \`openseadragon@$VERSION\` (BSD-3-Clause, see LICENSE.txt), made by
\`static/vendor/vendor.sh\`. The button images are left out: our pages draw their own buttons.

- Integrity: \`$INTEGRITY\`

\`\`\`text
$(sha256sum openseadragon.min.js LICENSE.txt)
\`\`\`
EOF
