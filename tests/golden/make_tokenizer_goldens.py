# SPDX-License-Identifier: MIT
"""Writes tests/golden/tokenizer/*.json: small tokenizers and the tokens that the `tokenizers` library gives for texts.

Usage: make_tokenizer_goldens.py TRAINING_TEXT   (the files here: the first 10,000 bytes of kjv.txt)

Each golden file holds {"made_by", "tokenizer": a whole tokenizer.json, "training_text", "cases": [{"text", "tokens"}]}.
Texts use characters of Unicode 3.2 alone: later ones change their category with the version of the Unicode tables.
"""
import json
import pathlib
import random
import sys
import unicodedata

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

FOLDER = pathlib.Path(__file__).parent / "tokenizer"
SPECIAL = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>"]
V3 = [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
      "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
      " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"]
LLAMA3 = [r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+"]
LINES = [r"\s+$", "[\r\n]"]


def splits(patterns):
    return [pre_tokenizers.Split(Regex(p), "isolated") for p in patterns]


def byte_level(use_regex):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def train(steps, text, vocab_size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, min_frequency=2, special_tokens=SPECIAL, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def texts():
    rng = random.Random(1)
    assigned = [chr(c) for c in range(0x110000) if unicodedata.ucd_3_2_0.category(chr(c)) not in ("Cn", "Cs", "Co")]
    mixed = list("aBsStTé1²½٣.!'$€_-中のア々〇Ⅷßﬁſ🙂 \n\r\t") + ["\u0301", "\u200d", "\u00a0", "\u180e", "\u2028", "\u3000"]
    spaces = list(" \t\n\r\x0b\x0c\x1c\x85\u00a0\u180e\u2003\u200b\u3000x.")
    words = SPECIAL + ["<", "<｜", "｜>", "<|tool|>", "a", " ", "\n", "In the beginning "]
    out = ["", "In the beginning God created the heaven and the earth.", "x = foo(bar[10], 'it''s');\n\n\treturn 3.14159;\n",
           "1234567 12 1,234.5", "创世纪第一章 in the beginning はじめに", "We'll WE'LL I'm they'Ve ſ'S", "a" * 300, "=" * 90]
    out += [" " * n for n in (1, 2, 3, 17, 100)] + ["\n" * n for n in (1, 2, 9)] + ["x  y   z \n\n  w \r\n", " \n \n a"]
    for alphabet, count, longest in ((assigned, 60, 60), (mixed, 60, 60), (spaces, 40, 30), (words, 40, 12)):
        out += ["".join(rng.choice(alphabet) for _ in range(rng.randint(1, longest))) for _ in range(count)]
    return out


def write(name, tokenizer, training_text, **changes):
    data = json.loads(tokenizer.to_str())
    data["model"].update(changes)
    tokenizer = Tokenizer.from_str(json.dumps(data))
    golden = {"made_by": "tokenizers " + tokenizers.__version__, "tokenizer": data, "training_text": training_text,
              "cases": [{"text": t, "tokens": tokenizer.encode(t, add_special_tokens=False).ids} for t in texts()]}
    (FOLDER / (name + ".json")).write_text(json.dumps(golden, ensure_ascii=False) + "\n")


def main():
    text = open(sys.argv[1], encoding="utf-8").read()
    FOLDER.mkdir(exist_ok=True)
    write("deepseek_v3", train(splits(V3) + [byte_level(False)], text, 700), text)
    llama = train(splits(LLAMA3) + [byte_level(False)], text, 600)
    llama.add_special_tokens([AddedToken("<|tool|>", special=True, normalized=False)])
    llama.add_tokens([AddedToken("In the", normalized=True), AddedToken("the beg", normalized=True),
                      AddedToken("beginning", normalized=False)])
    # Fewer merges than the vocabulary has entries: ignore_merges finds the rest.
    merges = json.loads(llama.to_str())["model"]["merges"][::2]
    made = {(a + b) for a, b in merges} | set(pre_tokenizers.ByteLevel.alphabet())
    merges = [[a, b] for a, b in merges if a in made and b in made]
    write("llama3_ignore_merges", llama, "", ignore_merges=True, merges=merges)
    write("gpt2_digits", train([pre_tokenizers.Digits(individual_digits=True)] + splits(LINES) + [byte_level(True)], text,
                               500), "")


main()
