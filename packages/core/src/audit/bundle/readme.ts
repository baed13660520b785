import type { BundleManifest } from "./layout.ts";

/**
 * The bundle's README: how to verify it with the tools of any Debian. Its commands are run as they stand by
 * `packages/core/test/bundle/stranger.test.ts`, on bundles as they were exported and on bundles that were changed.
 */
export function bundleReadme({ organisation, size, log, exportedAt }: BundleManifest): string {
  return `# Audit trail of ${JSON.stringify(organisation)}

${size} entries of the trail \`${log}\`, exported at ${exportedAt}.

| file | what it is |
|---|---|
| \`entries/*.jsonl\` | the entries, a line each, oldest first: exactly the bytes that were hashed |
| \`parts/*.jsonl\` | details of entries, which may be erased; an entry commits to each by its HMAC-SHA-256 |
| \`checkpoints/*.txt\` | what the trail's signing key vouched for: how many entries, and the root of the Merkle tree over them |
| \`keys/\` | the public keys that sign: \`.vkey\` as signed notes write them, \`.pem\` for OpenSSL |
| \`manifest.json\` | what this bundle holds |

The formats: RFC 8785 (canonical JSON), RFC 6962 (Merkle tree), C2SP signed-note and tlog-checkpoint.

## Verify it without CodeSpar

All it takes is on any Debian: \`sh\`, coreutils, \`sed\`, \`diff\`, \`jq\`, and \`openssl\` 3. Type the commands in this folder, all in one shell, or run
them at once:

    sed -n '/^\`\`\`sh$/,/^\`\`\`$/p' README.md | grep -v '^\`\`\`' | sh

Every check prints \`ok\` behind its name. Anything else is what doesn't hold. A thousand entries take a minute or a few, and the time grows with the
entries; another checkpoint costs a signature and a few hashes.

### 1. Files and keys

Nothing is missing or damaged, and the keys for OpenSSL are those in the \`.vkey\` files, which are printed.

**Compare the printed keys** with those that you got from somewhere else than this bundle. Whoever can make up a whole bundle can also make up its keys,
and this README: nothing below tells you of that. So take the commands from somewhere else too, such as the README of a bundle that you exported yourself.

\`\`\`sh
export LC_ALL=C; work=$(mktemp -d)
sha256sum --check --quiet SHA256SUMS && echo "files: ok"
for vkey in keys/*.vkey; do
  cut -d + -f 3- "$vkey" | base64 -d | tail -c 32 > "$work/key"
  openssl pkey -pubin -in "\${vkey%.vkey}.pem" -outform DER | tail -c 32 | cmp - "$work/key" && cat "$vkey"
done
\`\`\`

### 2. Chain

Each entry names the hash of the one before: SHA-256 over a zero byte and its line. Their numbers have no gap, and time doesn't run backwards.

\`\`\`sh
cat entries/*.jsonl > "$work/entries"
while IFS= read -r entry; do
  { printf '\\000'; printf '%s' "$entry"; } | sha256sum
done < "$work/entries" | cut -d ' ' -f 1 > "$work/hashes"
{ printf '%064d\\n' 0; sed '$d' "$work/hashes"; } > "$work/before"
jq -r .prev "$work/entries" | diff "$work/before" - && echo "links: ok"
jq .seq "$work/entries" > "$work/numbers"
seq 0 $(($(wc -l < "$work/entries") - 1)) | diff - "$work/numbers" && echo "numbers: ok"
jq -r .ts "$work/entries" | sort -c && echo "times: ok"
\`\`\`

### 3. Signatures

Each checkpoint is of this trail, and signed by a key of this bundle.

\`\`\`sh
for note in checkpoints/*.txt; do
  sed '/^$/,$d' "$note" > "$work/text"
  sed '1,/^$/d' "$note" | while read -r dash name signature; do
    printf '%s' "$signature" | base64 -d > "$work/signature"
    key=keys/$(head -c 4 "$work/signature" | od -A n -t x1 | tr -d ' ').pem
    tail -c +5 "$work/signature" > "$work/bytes"
    openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$work/text" -sigfile "$work/bytes" > "$work/said" && echo "$note"
  done
done | sort -u > "$work/signed"
printf '%s\\n' checkpoints/*.txt | sort -u | diff - "$work/signed" && echo "signatures: ok"
jq -r .log "$work/entries" | sort -u > "$work/log"
for note in checkpoints/*.txt; do sed -n 1p "$note"; done | sort -u | diff - "$work/log" && echo "log: ok"
\`\`\`

### 4. Tree

The Merkle root over the entries is the one that was signed, for every checkpoint; the newest is over all of them. A node is SHA-256 over a byte 1 and the
two nodes below. Every node that has two is computed once, level by level. The root over the first so many entries is then put together from the right: of each level where their
number of nodes is odd, the last one is the left half of what is known so far.

\`\`\`sh
bytes() { tr -d '\\n' | tr a-f A-F | basenc -d --base16; }
node() { { printf '\\001'; printf '%s' "$1$2" | bytes; } | sha256sum | cut -d ' ' -f 1; }
cat "$work/hashes" > "$work/level0"
level=0
while [ "$(wc -l < "$work/level$level")" -gt 1 ]; do
  while read -r left && read -r right; do node "$left" "$right"; done < "$work/level$level" > "$work/level$((level + 1))"
  level=$((level + 1))
done
root() {
  nodes=$1 level=0 right=
  while [ "$nodes" -gt 0 ]; do
    if [ $((nodes % 2)) -eq 1 ]; then
      left=$(sed -n "\${nodes}{p;q;}" "$work/level$level")
      right=$(if [ "$right" ]; then node "$left" "$right"; else echo "$left"; fi)
    fi
    nodes=$((nodes / 2)) level=$((level + 1))
  done
  printf '%s' "$right" | bytes | base64
}
for note in checkpoints/*.txt; do
  root "$(sed -n 2p "$note")" > "$work/root"
  sed -n 3p "$note" | diff - "$work/root" && echo "$note: ok"
done
wc -l < "$work/entries" > "$work/count"
sed -n 2p "$note" | diff - "$work/count" && echo "complete: ok"
\`\`\`

A checkpoint that you kept, or that an anchor keeps, must agree: its second line is a number of entries, its third what \`root\` prints for that number.

### 5. Details

Each part is the one that its entry committed to, one that is missing was erased by an entry that says so, and none that was erased is there again.

\`\`\`sh
jq -r '. as $entry | .parts | to_entries[] | "\\($entry.seq) \\(.key) \\(.value)"' "$work/entries" | sort > "$work/sealed"
cat parts/*.jsonl | jq -r '"\\(.seq) \\(.name) \\(.salt) \\(.body | @base64)"' | while read -r seq name salt body; do
  hmac=$(printf '%s' "$body" | base64 -d | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$salt")
  echo "$seq $name \${hmac##* }"
done | sort > "$work/found"
comm -13 "$work/sealed" "$work/found" | diff /dev/null - && echo "parts: ok"
jq -r 'select(.action == "audit.redacted") | .target.id' "$work/entries" | sort -u > "$work/erased"
names() { cut -d ' ' -f 1,2 | tr ' ' / | sort -u; }
{
  comm -23 "$work/sealed" "$work/found" | names | comm -23 - "$work/erased"
  names < "$work/found" | comm -12 - "$work/erased"
} | diff /dev/null - && echo "erased: ok"
\`\`\`

## Read it

Entry 42, and what was attached to it:

    cat entries/*.jsonl | sed -n 43p | jq .
    cat parts/*.jsonl | jq -r 'select(.seq == 42) | .body'
`;
}
