#!/bin/sh
# Fills the templates of /etc/nginx/templates with the environment and puts them into /etc/nginx/conf.d.
set -eu

templates=${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}
output=${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}

[ -d "$templates" ] || exit 0
if [ ! -w "$output" ]; then
    echo "20-templates: $output is not writable, no template filled" >&2
    exit 0
fi

# Only names that exist are replaced: a configuration is full of dollar signs of its own.
names=$(awk 'BEGIN { for (name in ENVIRON) printf "${%s} ", name }')

find "$templates" -follow -type f -name '*.template' | while read -r template; do
    target=$output/${template#"$templates"/}
    target=${target%.template}
    mkdir -p "$(dirname "$target")"
    envsubst "$names" < "$template" > "$target"
done
