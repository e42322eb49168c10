"""Texts as numbers of words.

A loader gives ``x`` (N, ...) word numbers, ``y`` (N,) int64, and ``public_train`` and ``public_test``.
"""

from __future__ import annotations

import array
import tempfile
from collections import Counter
from pathlib import Path

from claimbench.data import archive
from claimbench.data.entries import Arrays, Entry, File, Source

WIKITEXT_2 = "https://github.com/pytorch/examples/raw/main/word_language_model/data/wikitext-2/"


def babi(raw: Path, train: str, test: str, slots: int = 50) -> Arrays:
    """Questions on stories, one sample each.

    ``x`` (N, slots + 1, words) int16: the latest ``slots`` sentences (or as many as the longest story has) from the one
    before the question back, then the question; 0 is no word. ``y``: word number of the answer; answers of several
    words are one word. Words have lower case and are numbered through both files, answers last, so that ``max(y) + 1``
    is the size of the dictionary.
    """
    import numpy as np

    samples: list[tuple[list[list[str]], list[str], str]] = []
    sizes = []
    for name in (train, test):
        story: list[list[str]] = []
        for line in (raw / name).read_text(encoding="utf-8").splitlines():
            number, _, text = line.strip().partition(" ")
            if int(number) == 1:
                story = []
            if "\t" in text:
                question, answer, _ = text.split("\t")
                samples.append((story[::-1][:slots], _words(question), answer.strip().lower()))
            else:
                story.append(_words(text))
        sizes.append(len(samples))
    answers = sorted({answer for *_, answer in samples})
    others = {word for story, question, _ in samples for sentence in (*story, question) for word in sentence}
    numbers = {word: i for i, word in enumerate([*sorted(others - set(answers)), *answers], start=1)}
    rows = max(len(story) for story, *_ in samples)
    words = max(len(sentence) for story, question, _ in samples for sentence in (*story, question))
    x = np.zeros((len(samples), rows + 1, words), np.int16)
    for i, (story, question, _) in enumerate(samples):
        for row, sentence in [*enumerate(story), (rows, question)]:
            x[i, row, : len(sentence)] = [numbers[word] for word in sentence]
    return {
        "x": x,
        "y": np.array([numbers[answer] for *_, answer in samples], np.int64),
        "public_train": np.arange(sizes[0]),
        "public_test": np.arange(*sizes),
    }


def _words(text: str) -> list[str]:
    return text.strip().rstrip(".?").strip().lower().split()


def token_blocks(raw: Path, train: str, test: str, block: int, least: int, archived: str = "") -> Arrays:
    """Text as overlapping blocks of words, one sample each.

    ``x`` (n, block + 1) int32 word numbers; a block starts with the last word of the one before, so that every word but
    the first is predicted once. Every line ends with ``<eos>``; words of fewer than ``least`` occurrences in the
    training text are ``<unk>``. ``y`` (n,) is the largest number of each block, and of the first the last word of the
    dictionary, so that ``max(y) + 1`` is its size.
    """
    import numpy as np

    with tempfile.TemporaryDirectory() as scratch:
        if archived:
            archive.extract(raw / archived, Path(scratch), [train, test], max_bytes=1 << 30)
            raw = Path(scratch)
        with open(raw / train, encoding="utf-8") as lines:
            counted = Counter(word for line in lines for word in line.split())
        kept = sorted({"<eos>", *(word for word, count in counted.items() if count >= least)} - {"<unk>"})
        numbers = {word: i for i, word in enumerate(["<unk>", *kept])}
        blocks = []
        for name in (train, test):
            tokens = array.array("i")
            with open(raw / name, encoding="utf-8") as lines:
                for line in lines:
                    tokens.extend(numbers.get(word, 0) for word in line.split())
                    tokens.append(numbers["<eos>"])
            known = np.frombuffer(tokens, np.int32)
            starts = np.arange(0, len(known) - block, block)
            blocks.append(known[starts[:, None] + np.arange(block + 1)])
    x = np.concatenate(blocks)
    y = x.max(1).astype(np.int64)
    y[0] = len(kept)
    return {
        "x": x,
        "y": y,
        "public_train": np.arange(len(blocks[0])),
        "public_test": np.arange(len(blocks[0]), len(x)),
    }


_BABI: dict[int, tuple[str, tuple[int, str], tuple[int, str]]] = {
    1: (
        "single-supporting-fact",
        (94346, "c64ba9b1a49bbb111ffc4cd2ae4f129d25c012399dd7ade9679eea464b9afb05"),
        (94477, "55acf66cef2f6d798e2aa1d056e1ec8f24e910ea9215b639450574321132959b"),
    ),
    2: (
        "two-supporting-facts",
        (177412, "a4978af5bc0dc30191810e7c9949aaa6eae939ed0f6beb9fcb5f4330c2a27860"),
        (179835, "eff93fb9cd81ba02eb765772cf7cc269769ed44ec71cbbbc19cfb16ee5eba0f6"),
    ),
    3: (
        "three-supporting-facts",
        (529204, "a6e78019f36a02a7ed71fe6aaded0b563ff09c8deec392931801fcd9c6af4d60"),
        (526527, "17795c977100baf8188f386522ae301b62d6c1a13efc01b3aea781e588b4d57f"),
    ),
    4: (
        "two-arg-relations",
        (117470, "c9370502d85fa382f32d1fea2111e817f81ae9e3e79eb2924a1a5392a90417fa"),
        (117394, "07f0ca18ddeea9eed4ba6d59e162adcb0ce44815721114b3540d92825509331e"),
    ),
    5: (
        "three-arg-relations",
        (199473, "086cd59c3ca9677bfac3d6a22ca5853c76a5c1fbae3159c7c4a6aef759a74ec0"),
        (207037, "ec825c1c8a76e63a31f0d7a7763cd63740e98332fa9bdf246a19068949bd5f97"),
    ),
    6: (
        "yes-no-questions",
        (100561, "5a133115ee35d475776df703ff605d145b11effbcdbf7e74861f9d5639246a5a"),
        (100109, "b108b16f1eccbd1c24df6dca2649079a7b2f10af7fd12d4c45a3393802de59e3"),
    ),
    7: (
        "counting",
        (135895, "dca03bd91876951c49f1c971c83c9dd55404de60201b7b6435451cf7ddb4751c"),
        (130136, "a74d1f2b91329b2bae814d41cdac2fbdfdf0328562b7d8afa9a0fa576d461e27"),
    ),
    8: (
        "lists-sets",
        (124487, "058604df6f9440458317e8ae685d2b7b84261e1a80b4d6410a9140d16f81bf06"),
        (126863, "362a653c821a580fa315a85243b4f03bfa06fa7e0269b6f8e596f8fe6911646a"),
    ),
    9: (
        "simple-negation",
        (97310, "0c3b89921af0caea1c4059ee3f7b7f2a88869f924195a428da37820446b8c49f"),
        (97208, "63590aff3f89993db409f0e9a9eb39c2a5b9d5efff99b255d800a891b0044d9f"),
    ),
    10: (
        "indefinite-knowledge",
        (99217, "0b7691689447bab05476c5b48c44999b41e747c3978df69c18fdd87b60d6e8b3"),
        (99632, "fde8f20ed0b3ba979058ed391a566af34653f23baab5b2793ee37f87ef4e88b7"),
    ),
    11: (
        "basic-coreference",
        (104520, "9468de9a1f256f43dfda693a5d07182d21149a82b65f7c2451c64e9cff5eb138"),
        (104800, "46f3290d0158ce1285a40cd2d793f5a65f86ae5000226e165cbc85a3dfeb2f6f"),
    ),
    12: (
        "conjunction",
        (114560, "45c2764bb2d3c8f699d35e9d9aa7958fcd96379c6e907116cdf74526c108bb25"),
        (114489, "6437718f8f9801ce345869e910b896836cdc6fd2d01dc7b4d2df49730703b4b1"),
    ),
    13: (
        "compound-coreference",
        (116516, "533a391edbda743e4c99504de88b40cdded5b1d5ef454d1390f0863f748a4cc9"),
        (116444, "76a25b684f23c9cc473d8cd1465506168b9a1ec8891cfc59d0bbd87e6a064990"),
    ),
    14: (
        "time-reasoning",
        (152131, "b7561cbc624205c9c2fdbb8c843cfa8ad90edd65e78bb223fc6dea8113662df8"),
        (151420, "e3f0b19858ffbec3ed1e49076cc4d1295a89ce146c50318b862f13f202b3caf2"),
    ),
    15: (
        "basic-deduction",
        (87688, "e856ebfdcce4dd7d617c1d10f985e96a0850c0ca18e9a19a017cb710d135ed3d"),
        (87769, "32b77e117fe9acf5f94906684e3b5206de0108e646c76e1da3e022896ec7ee94"),
    ),
    16: (
        "basic-induction",
        (208334, "20121005137e3d4b061a086eb177a456303d5742b764eb8da2d0e480b6af4d28"),
        (208208, "4a11e55366f2a5a859b5a81f683ee23801bdbe71ef984e51adb976bd053e8dcf"),
    ),
    17: (
        "positional-reasoning",
        (68596, "20083bf56ff74f0e7cf5e3e2f8c3905cdb8ef09293c3e8cf7a96ed8b45ae2277"),
        (68578, "9e1e0250ed4ec1831757fab26c04138f81ea557ebf6976a220db879cbed04bac"),
    ),
    18: (
        "size-reasoning",
        (104815, "18b7dcf52c9a0e87e4e7dd3d65b7e5a630de039645f52a1294197af7481d739d"),
        (103626, "d34f70eb7228a276fcb3a7854174fe562c5634f4fb454a39fc3d1ad9934be3ef"),
    ),
    19: (
        "path-finding",
        (247496, "dcb788352a56effb7bea1449128f31cc9c342c8c327b6df2caeee0e379e6ad3a"),
        (247449, "023e391f0d7f79c9e6ae1c46c093e2d0dbd50ab8fbd8965e037a75e3614c20e5"),
    ),
    20: (
        "agents-motivations",
        (67892, "29580ad55fb7b4b29ba014696056cc68f8f347dac3be88470fd692ad60150398"),
        (67963, "bd3bde3788ac14ba0ae095078f7b820fbd2bfa6a34dba9d1d46a34afde9c2729"),
    ),
}
"""Task: its name, then size and sha256 of the training and the test file (English, 1,000 questions each)."""


def _babi_entry(task: int) -> Entry:
    name, *parts = _BABI[task]
    names = [f"qa{task}_{name}_{part}.txt" for part in ("train", "test")]
    paths: dict[str, str | list[str]] = {name: name for name in names}
    return Entry(
        name=f"babi-{task}",
        title=f"bAbI task {task}, {name.replace('-', ' ')} (English, 1,000 training questions)",
        kind="text",
        loader=babi,
        options={"train": names[0], "test": names[1]},
        licence="CC BY 3.0",
        citation="Weston et al. 2015, Towards AI-complete question answering",
        url="https://github.com/siddk/entity-network",
        expect={"n_samples": 2000},
        files=tuple(File(name, *part) for name, part in zip(names, parts, strict=True)),
        sources=(
            Source("mirror", "babi/en", paths),
            Source("url", "https://github.com/siddk/entity-network/raw/master/tasks/en/", paths),
        ),
    )


DATASETS: tuple[Entry, ...] = (
    *map(_babi_entry, _BABI),
    Entry(
        name="wikitext-2-heldout",
        title="WikiText-2, its validation text for training and its test text for testing, blocks of 50 words",
        kind="text",
        loader=token_blocks,
        options={"train": "valid.txt", "test": "test.txt", "block": 50, "least": 20},
        licence="CC BY-SA 3.0",
        citation="Merity, Xiong, Bradbury, Socher: Pointer Sentinel Mixture Models, ICLR 2017",
        url="https://huggingface.co/datasets/Salesforce/wikitext",
        expect={"n_samples": 4352 + 4911},
        files=(
            File("valid.txt", 1_121_681, "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8"),
            File("test.txt", 1_256_449, "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0"),
        ),
        sources=(
            Source("mirror", "wikitext2_valid_test", {"valid.txt": "valid.txt", "test.txt": "test.txt"}),
            Source("url", WIKITEXT_2, {"valid.txt": "valid.txt", "test.txt": "test.txt"}),
        ),
    ),
    Entry(
        name="wikitext-103",
        title="WikiText-103, blocks of 256 words",
        kind="text",
        loader=token_blocks,
        options={
            "train": "wikitext-103/wiki.train.tokens",
            "test": "wikitext-103/wiki.test.tokens",
            "block": 256,
            "least": 100,
            "archived": "wikitext-103-v1.zip",
        },
        licence="CC BY-SA 3.0",
        citation="Merity, Xiong, Bradbury, Socher: Pointer Sentinel Mixture Models, ICLR 2017",
        url="https://huggingface.co/datasets/Salesforce/wikitext",
        expect={"n_samples": -((256 - 103_227_021) // 256) - ((256 - 245_569) // 256)},
        files=(File("wikitext-103-v1.zip"),),
        sources=(
            Source("mirror", "wikitext103", {"wikitext-103-v1.zip": "wikitext-103-v1.zip"}),
            Source(
                "url",
                "https://s3.amazonaws.com/research.metamind.io/wikitext/",
                {"wikitext-103-v1.zip": "wikitext-103-v1.zip"},
            ),
        ),
    ),
)
