# Makes ringback-services(5) of the part "A service definition" of README.md: headings,
# paragraphs, lists, tables and code, as they are written there.
#
#     awk -v date=2026-01-02 -v version=0.1.0 -f manual.awk README.md

function plain(text) {
    while (match(text, /\[[^]]*\]\([^)]*\)/)) { # [words](link) → words
        link = substr(text, RSTART + 1, RLENGTH - 1)
        sub(/\].*/, "", link)
        text = substr(text, 1, RSTART - 1) link substr(text, RSTART + RLENGTH)
    }
    return text
}

function escaped(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    gsub(/…/, "...", text)
    gsub(/ · /, ", ", text)
    gsub(/→/, "->", text)
    gsub(/≤/, "<=", text)
    gsub(/×/, "*", text)
    return text
}

function bold(text,   on) {
    text = plain(text)
    gsub(/\*\*/, "`", text)
    text = escaped(text)
    while (sub(/`/, on ? "\\fR" : "\\fB", text))
        on = !on
    return text (on ? "\\fR" : "")
}

function put(text) {
    print (text ~ /^[.']/ ? "\\&" : "") text
}

function paragraph() {
    if (fresh)
        print ".PP"
    fresh = 0
}

function code() {
    if (wrote)
        print ".PP"
    print ".RS 4\n.nf"
    wrote = 1
}

# | `key` | type | default |: the key is the tag, the rest follow under their headings.
function row(line,   cells, count, i, text, cell) {
    gsub(/^\| ?| ?\|$/, "", line)
    gsub(/\\\|/, "\001", line)
    count = split(line, cells, / *\| */)
    for (i = 1; i <= count; i++)
        gsub(/\001/, "|", cells[i])
    if (!in_table) {
        in_table = 1
        for (i = 1; i <= count; i++)
            title[i] = cells[i]
        return
    }
    if (line ~ /^ *:?---/)
        return
    print ".TP"
    put(bold(cells[1]))
    for (i = 2; i <= count; i++) {
        cell = cells[i]
        if (cell == "")
            continue
        if (title[i] == "default")
            cell = "Default: " cell
        text = text (text == "" ? "" : "; ") cell
    }
    put(text == "" ? "\\&" : bold(text))
}

BEGIN {
    print ".\\\" Made by the build from jobs/README.md."
    print ".TH RINGBACK\\-SERVICES 5 " date " \"ringback " version "\""
    print ".SH NAME\nringback\\-services \\- definitions of the services that ringback calls"
    print ".SH DESCRIPTION"
}

/^## / { inside = ($0 == "## A service definition"); next }
!inside { next }

/^```/ {
    if (in_code) {
        print ".fi\n.RE"
        fresh = 1
    } else {
        code()
    }
    in_code = !in_code
    next
}
in_code { put(escaped($0)); next }

/^    [^ ]/ && (blank || quoted) { # code by indentation
    if (!quoted)
        code()
    quoted = 1
    put(escaped(substr($0, 5)))
    next
}
quoted { print ".fi\n.RE"; quoted = 0; fresh = 1 }

/^$/ {
    blank = 1
    if (in_table || in_list)
        fresh = 1
    else if (wrote)
        fresh = 1
    in_table = in_list = 0
    next
}
{ blank = 0 }

/^### / {
    print ".SH " escaped(toupper(substr($0, 5)))
    fresh = wrote = 0
    next
}
/^\|/ { row($0); wrote = 1; next }
/^- / {
    print ".IP \\(bu 2"
    put(bold(substr($0, 3)))
    in_list = wrote = 1
    next
}
{
    sub(/^ +/, "")
    if (!in_list)
        paragraph()
    put(bold($0))
    wrote = 1
}

END {
    if (quoted)
        print ".fi\n.RE"
    print ".SH SEE ALSO"
    print ".BR ringback (1),\n.BR ringback\\-worker (8),\n.BR ringback.yaml (5)"
}
