# Splits a MIME message of one level: part N goes to dir/part-N, or dir/part-N.base64.
function value(line) { sub(/^[^:]*:[ \t]*/, "", line); return line }
function close_part() {
	if (file != "") close(file)
	file = ""
}
BEGIN { n = -1; headers = 1; top = 1 }
{ line = $0; sub(/\r$/, "", line) }
boundary != "" && (line == "--" boundary || line == "--" boundary "--") {
	close_part()
	if (line == "--" boundary "--") exit
	n++
	headers = 1; top = 0; encoding = ""; type = ""
	next
}
headers && line ~ /^[ \t]/ { line = header line } # a folded header
headers && line != "" {
	header = line
	lower = tolower(line)
	if (lower ~ /^content-transfer-encoding:/) encoding = value(lower)
	if (lower ~ /^content-type:/) {
		type = value(lower)
		if (top && match(line, /[Bb][Oo][Uu][Nn][Dd][Aa][Rr][Yy]=/)) {
			boundary = substr(line, RSTART + RLENGTH)
			if (boundary ~ /^"/) { boundary = substr(boundary, 2); sub(/".*/, "", boundary) }
			else sub(/[; \t].*/, "", boundary)
		}
	}
	next
}
headers {
	headers = 0
	if (top) {
		if (boundary == "") { print "machine-seed: the MIME message of user-data has no boundary"; exit 1 }
		next
	}
	bad = ""
	if (n > 8) bad = "more than 9 parts"
	else if (type ~ /^multipart\//) bad = "a part with parts"
	else if (encoding !~ /^(|7bit|8bit|binary|base64)[ \t]*$/) bad = "the encoding " encoding
	if (bad != "") { print "machine-seed: user-data has " bad ": ignored"; next }
	file = dir "/part-" n (encoding ~ /^base64/ ? ".base64" : "")
	printf "" > file
	next
}
file != "" { print line > file }
