#!/usr/bin/env python3
"""Trains small tokenizers and records what Hugging Face's library makes of some texts, for tokenize's tests.

usage: make.py OUTDIR [minilm_tokenizer.json] [--wide]
Writes OUTDIR/NAME.json.gz (a tokenizer.json) and OUTDIR/NAME.cases.json.gz. --wide adds thousands of texts: every code point
and random mixtures. The corpus is text that comes with Python.
Needs the packages tokenizers and sentencepiece.
"""
import gzip, json, os, random, sys, tempfile
import sentencepiece as sp
import sentencepiece.sentencepiece_model_pb2
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers as N, pre_tokenizers as P, processors as O, trainers as T)

args = [a for a in sys.argv[1:] if not a.startswith("--")]
out, wide = args[0], "--wide" in sys.argv
texts = [
    "", " ", "hello", "Hello, World!", "The quick brown fox jumps over the lazy dog.", "  leading and   inner  spaces \n\ttabs ",
    "don't can't we'll I'm they've he'd it's O'Neil 'tis 'S", "naïve café Ångström İstanbul ÇOK ẞ ﬁne", "日本語のテキスト and 中文字符", "한국어 텍스트", "привет, МИР",
    "emoji 😀👍🏽👩‍👩‍👧 done", "a1b22c333 4½ ٣٤ Ⅷ", "x\x00y\x07z\u200bw\ufeffv\ufffdq\u00adp", "tab\tnew\nline\r\nend\u00a0nbsp\u3000wide\u2028sep",
    "[CLS] and [MASK] inside [SEP] text", "a [MASK]b <mask> c<mask>d  <mask>  e", "supercalifragilisticexpialidocious", "w" * 120, "http://example.com/path?q=1&r=2#frag",
    "price: $5.00 (50% off) – “quoted” … ‘x’", "e\u0301 o\u0308 n\u0303 combined", "नमस्ते दुनिया สวัสดี שלום مرحبا", "under_score camelCase kebab-case", "▁▁ raw ▁meta", "<unk> <s> </s>",
]
pairs = [("How old are you?", "I am six."), ("a", ""), ("one two three four five six seven", "eight nine"), ("x", "a much longer second text that gets cut")]
corpus = [open(os.__file__.replace("os.py", n), encoding="utf8").read() for n in ("os.py", "argparse.py", "json/decoder.py")] + texts[:-1]
rng = random.Random(5)
if wide:
    alphabet = [chr(c) for c in range(0x3100) if not 0xd800 <= c < 0xe000]
    texts += [f"a{chr(c)}b {chr(c)} {chr(c)}{chr(c)}" for c in list(range(0x3400)) + list(range(0xa000, 0xac00, 7)) + list(range(0xf900, 0x10000)) + list(range(0x1d400, 0x1d800, 5)) + list(range(0x1f000, 0x1fb00, 3))]
    words = " ".join(corpus[:3]).split()
    for i in range(3000):
        texts.append("".join(rng.choice((" ", "  ", "\n", "", "'", ".")) + (rng.choice(words) if rng.random() < .7 else "".join(rng.choices(alphabet[: rng.choice((128, 0x250, 0x3100))], k=rng.randint(1, 6)))) for _ in range(rng.randint(1, 12))))


def tok(model, norm=None, pre=None, post=None, trainer=None):
    t = Tokenizer(model)
    if norm: t.normalizer = norm
    if pre: t.pre_tokenizer = pre
    if trainer: t.train_from_iterator(corpus, trainer)
    if post: t.post_processor = post(t)
    return t


bert_special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
bert_post = lambda t: O.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [(s, t.token_to_id(s)) for s in ("[CLS]", "[SEP]")])
rob_post = lambda t: O.RobertaProcessing(("</s>", t.token_to_id("</s>")), ("<s>", t.token_to_id("<s>")))
made = {
    "wordpiece": tok(models.WordPiece(unk_token="[UNK]"), N.BertNormalizer(), P.BertPreTokenizer(), bert_post, T.WordPieceTrainer(vocab_size=400, special_tokens=bert_special, show_progress=False)),
    "wordpiece_cased": tok(models.WordPiece(unk_token="[UNK]"), N.Sequence([N.Strip(), N.BertNormalizer(lowercase=False)]), P.Sequence([P.Whitespace(), P.Digits(individual_digits=True)]),
                           lambda t: O.BertProcessing(("[SEP]", t.token_to_id("[SEP]")), ("[CLS]", t.token_to_id("[CLS]"))), T.WordPieceTrainer(vocab_size=400, special_tokens=bert_special, show_progress=False)),
    "gpt2": tok(models.BPE(), None, P.ByteLevel(add_prefix_space=False), lambda t: O.ByteLevel(trim_offsets=False), T.BpeTrainer(vocab_size=500, special_tokens=["<|endoftext|>"], initial_alphabet=P.ByteLevel.alphabet(), show_progress=False)),
    "roberta": tok(models.BPE(), None, P.ByteLevel(add_prefix_space=True), rob_post, T.BpeTrainer(vocab_size=450, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], initial_alphabet=P.ByteLevel.alphabet(), show_progress=False)),
    "clip": tok(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>", fuse_unk=True), N.Sequence([N.NFC(), N.Replace(Regex(r"\s+"), " "), N.Lowercase()]), P.WhitespaceSplit(), None,
                T.BpeTrainer(vocab_size=400, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False)),
    "unigram": tok(models.Unigram(), N.Sequence([N.NFKC(), N.Replace(Regex(" {2,}"), " ")]), P.Metaspace(), lambda t: O.TemplateProcessing("$A </s>", "$A </s> $B </s>", [("</s>", t.token_to_id("</s>"))]),
                   T.UnigramTrainer(vocab_size=300, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False)),
}
made["roberta"].add_special_tokens([AddedToken("<mask>", lstrip=True)])
made["wordpiece_cased"].add_tokens([AddedToken("json", single_word=True), AddedToken("World", rstrip=True)])
# As Llama's: no pre-tokenizer, spaces written out, bytes for what is unknown.
b = json.loads(made["unigram"].to_str())
vocab = {f"<0x{i:02X}>": i + 3 for i in range(256)} | {"<unk>": 0, "<s>": 1, "</s>": 2}
for c in "▁abcdefghijklmnopqrstuvwxyz": vocab[c] = len(vocab)
merges = [("▁", "t"), ("h", "e"), ("▁t", "he"), ("i", "n"), ("▁", "▁"), ("▁▁", "▁▁"), ("e", "r"), ("o", "n"), ("▁", "a")]
for x, y in merges: vocab[x + y] = len(vocab)
made["llama"] = tok(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True), N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]), None,
                    lambda t: O.TemplateProcessing("<s> $A", "<s> $A <s>:1 $B:1", [("<s>", 1)]))
# A SentencePiece character map: a small one of our own, or with --wide that of T5 and XLM-R.
with tempfile.TemporaryDirectory() as t:
    open(t + "/corpus", "w").write("\n".join(corpus[:3])); open(t + "/rules", "w").write("ﬁ\tf i\n".replace("ﬁ", "FB01").replace("f i", "66 69") + "C4 30A\t41\n41\t61\n3000\t20\n65 301\tE9\n200B\t\n1F600\t3A 29\n")
    rule = {"normalization_rule_name": "nmt_nfkc"} if wide else {"normalization_rule_tsv": t + "/rules"}
    sp.SentencePieceTrainer.train(input=t + "/corpus", model_prefix=t + "/m", vocab_size=300, minloglevel=2, **rule)
    proto = sp.sentencepiece_model_pb2.ModelProto(); proto.ParseFromString(open(t + "/m.model", "rb").read())
made["spm"] = tok(models.Unigram([(p.piece, p.score) for p in proto.pieces], 0, False), N.Sequence([N.Precompiled(proto.normalizer_spec.precompiled_charsmap), N.Replace(Regex(" {2,}"), " ")]), P.Metaspace(prepend_scheme="first"))
for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
    words = {w: i for i, w in enumerate(["<unk>", "a", "-", "b", "a-", "-b", "--", "-a", "b-"])}
    made["split_" + behavior] = tok(models.WordLevel(words, "<unk>"), None, P.Split("-", behavior))
if len(args) > 1:
    made["minilm"] = Tokenizer.from_file(args[1])
    made["minilm"].no_padding(); made["minilm"].no_truncation()

os.makedirs(out, exist_ok=True)
for name, t in made.items():
    cases = []
    for i, s in enumerate(texts + ["a-b", "-a--b-", "a", "--", "b-a"] * name.startswith("split_")):
        e = t.encode(s)
        cases.append({"text": s, "ids": e.ids, "types": e.type_ids})
    for a, b in pairs:
        for most in (0, 5, 8, 11):
            if most: t.enable_truncation(most)
            e = t.encode(a, b)
            cases.append({"text": a, "pair": b, "max": most, "ids": e.ids, "types": e.type_ids})
            t.no_truncation()
    with gzip.GzipFile(f"{out}/{name}.json.gz", "wb", mtime=0) as f: f.write(json.dumps(json.loads(t.to_str()), ensure_ascii=False).encode())
    with gzip.GzipFile(f"{out}/{name}.cases.json.gz", "wb", mtime=0) as f: f.write(json.dumps(cases, ensure_ascii=False).encode("utf8", "surrogatepass"))
