#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes the default training text into a folder: kjv.txt (the King James Bible, a chapter a document) and jargon.txt
# (the Jargon File, an entry a document), 6 MB of public-domain English in two very different voices. Documents are
# two blank lines apart, which is where reference/data/corpus.hpp cuts. A file appears under its name when it is whole.
# Needs the Debian packages bible-kjv and jargon-text.
#
# Usage: prepare_corpus.sh FOLDER
set -eu
export LC_ALL=C
[ $# -eq 1 ] || { echo "usage: prepare_corpus.sh FOLDER" >&2; exit 2; }
folder=$1
jargon=${DSV3_JARGON:-/usr/share/doc/jargon-text/jargon.txt.gz}

need() { echo "prepare_corpus.sh: $1 is missing; the Debian package $2 is needed" >&2; exit 1; }
command -v bible > /dev/null || need "the command bible" bible-kjv
[ -r "$jargon" ] || need "$jargon" jargon-text

mkdir -p "$folder"
scratch=$(mktemp -d "$folder/.prepare.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# "Ge1:1 In the beginning ..." becomes the line "In the beginning ..." below the heading "Genesis 1".
bible -f gen1:1-rev22:21 < /dev/null > "$scratch/verses"
awk '
  BEGIN {
    split("Genesis,Exodus,Leviticus,Numbers,Deuteronomy,Joshua,Judges,Ruth,1 Samuel,2 Samuel,1 Kings,2 Kings," \
          "1 Chronicles,2 Chronicles,Ezra,Nehemiah,Esther,Job,Psalm,Proverbs,Ecclesiastes,Song of Solomon,Isaiah," \
          "Jeremiah,Lamentations,Ezekiel,Daniel,Hosea,Joel,Amos,Obadiah,Jonah,Micah,Nahum,Habakkuk,Zephaniah,Haggai," \
          "Zechariah,Malachi,Matthew,Mark,Luke,John,Acts,Romans,1 Corinthians,2 Corinthians,Galatians,Ephesians," \
          "Philippians,Colossians,1 Thessalonians,2 Thessalonians,1 Timothy,2 Timothy,Titus,Philemon,Hebrews,James," \
          "1 Peter,2 Peter,1 John,2 John,3 John,Jude,Revelation", title, ",")
  }
  {
    split($1, place, ":")
    if (place[1] != chapter) {
      chapter = place[1]
      number = chapter; sub(/^[1-3]?[A-Za-z]+/, "", number)
      name = chapter; sub(/[0-9]+$/, "", name)
      if (name != book) { book = name; books++ }
      printf "%s%s %s\n\n", (NR > 1 ? "\n\n" : ""), title[books], number
    }
    sub(/^[^ ]+ /, "")
    print
  }
  END { exit books != 66 }' "$scratch/verses" > "$scratch/kjv.txt" ||
  { echo "prepare_corpus.sh: bible printed other books than expected; 66 are needed" >&2; exit 1; }

# Lines of a paragraph (three spaces in) are joined; what stands further in (code, lists) keeps its lines. Left out: the
# table of contents, the list of all entries, tables drawn with box characters.
gzip -dc "$jargon" | awk '
  function end_paragraph() {
    if (paragraph != "") print paragraph "\n"; else if (as_is) print ""
    paragraph = ""; as_is = 0
  }
  function new_document() { end_paragraph(); if (documents++) print "" }
  { gsub(/\302\240/, " ") }
  /^Chapter 1\. |^Appendix / { inside = 1 }
  /^Glossary|^ +Part / { inside = 0; in_index = /^Glossary/ }
  in_index && /^   :/ { inside = 1; in_index = 0 }
  !inside || /│|┌|├|└|═/ { next }
  /^$/ { end_paragraph(); next }
  /^[^ ]/ { new_document(); paragraph = $0; end_paragraph(); next }
  /^   :[^ :]/ { new_document() }
  /^   [^ ]/ { if (as_is) end_paragraph(); sub(/^   /, ""); paragraph = paragraph == "" ? $0 : paragraph " " $0; next }
  { if (paragraph != "") end_paragraph(); sub(/^   /, ""); print; as_is = 1 }
  END { end_paragraph(); exit documents < 2000 }' > "$scratch/jargon.txt" ||
  { echo "prepare_corpus.sh: $jargon is not the Jargon File as expected; 2000 entries are needed" >&2; exit 1; }

mv "$scratch/kjv.txt" "$scratch/jargon.txt" "$folder"
