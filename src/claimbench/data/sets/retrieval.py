"""Collections of documents with queries and judgements.

A loader gives ``x`` (Q,) and ``docs`` (D,), queries and documents as UTF-8 bytes (numpy's ``S``), and ``y`` (Q, D)
int8, how relevant a document is to a query; 0 is not judged or not relevant. Queries are the samples, documents are
known.
"""

from __future__ import annotations

import re
from pathlib import Path

from claimbench.data.entries import Arrays, Entry, File, Source

CRANFIELD = "https://github.com/olivernn/cranfield/raw/8f40ee931b7e/data/cran/"
CISI = "https://github.com/Shakiba-Alipour/Information-Retrieval-on-CISI/raw/7a23c34602e8/"


def smart(raw: Path, docs: str, queries: str, judgements: str, graded: bool) -> Arrays:
    """The layout of the SMART system: records ``.I <number>`` with fields ``.T`` (title) and ``.W`` (text).

    Texts are title and text with single blanks. Judgements are lines of query and document, both counted from 1 in the
    order of their files.

    Args:
        raw: folder of the files.
        docs: file of documents.
        queries: file of queries.
        judgements: file of judgements.
        graded: the third number of a judgement is Cleverdon's code, 1 for a complete answer to 4 for minimum interest,
            which become 4 to 1 (others become 0); without it every judged document is relevant, 1.
    """
    import numpy as np

    texts, asked = _records(raw / docs), _records(raw / queries)
    y = np.zeros((len(asked), len(texts)), np.int8)
    for line in (raw / judgements).read_text(encoding="utf-8").splitlines():
        query, document, code, *_ = line.split()
        relevance = (5 - int(code) if code in ("1", "2", "3", "4") else 0) if graded else 1
        if min(int(query), int(document)) < 1:
            raise ValueError(f"{judgements} judges query {query} and document {document}")
        y[int(query) - 1, int(document) - 1] = relevance
    return {"x": np.array(asked), "docs": np.array(texts), "y": y}


def _records(path: Path) -> list[bytes]:
    """Title and text of each record."""
    found = []
    for record in re.split(r"^\.I\b.*$", path.read_text(encoding="latin-1"), flags=re.MULTILINE)[1:]:
        parts = re.split(r"^\.([A-Z])\s*$", record, flags=re.MULTILINE)[1:]
        fields = dict(zip(parts[::2], parts[1::2], strict=True))
        title, text = (" ".join(fields.get(name, "").split()) for name in "TW")
        found.append((text if text.startswith(title) else f"{title} {text}").strip().encode())
    return found


def _collection(name: str, title: str, files: tuple[File, File, File], url: str, graded: bool, n_docs: int) -> Entry:
    paths: dict[str, str | list[str]] = {file.name: file.name for file in files}
    docs, queries, judgements = (file.name for file in files)
    return Entry(
        name=name,
        title=title,
        kind="retrieval",
        loader=smart,
        options={"docs": docs, "queries": queries, "judgements": judgements, "graded": graded},
        whole=("docs",),
        licence="none stated (test collections of the University of Glasgow, freely distributed)",
        citation="Cleverdon: The Cranfield Tests on Index Language Devices, Aslib Proceedings 1967"
        if graded
        else "Fox: Characterization of Two New Experimental Collections in Computer and Information Science, 1983",
        url=f"http://ir.dcs.gla.ac.uk/resources/test_collections/{name[:4]}/",
        expect={"n_samples": 225 if graded else 112, "n_docs": n_docs},
        files=files,
        sources=(Source("mirror", name, paths), Source("url", url, paths)),
    )


DATASETS: tuple[Entry, ...] = (
    _collection(
        "cranfield",
        "Cranfield, abstracts of aerodynamics with 225 queries",
        (
            File("cran.all.1400", 1_643_813, "0feb1a64cd60d0d294b6a8c0864b9476dda2158d9964e7285c6b609d32d1ea7a"),
            File("cran.qry", 28_957, "99578ceb88941ef89c14faf7c63c23776a376d8fba319b990f01d0c601d8b03f"),
            File("cranqrel", 19_541, "92e54b58dac0b980152178f350d892fae66c8a239b8a11715b835fb8d2f6bc0e"),
        ),
        CRANFIELD,
        True,
        1400,
    ),
    _collection(
        "cisi",
        "CISI, abstracts of information science with 112 queries, 76 of them judged",
        (
            File("CISI.ALL", 2_119_351, "c13934ad921234b571e7b424af3461fe39dccb16757cb21954b3aea5250d072e"),
            File("CISI.QRY", 66_632, "b72de0e0cb8aa5c93ac988e5be0400cc18949d0a94913a248783a37dd97d5470"),
            File("CISI.REL", 77_850, "f7396c92586c61953ccb7ae99ad8d3ac749ac3b989041fc93a9e311568f58997"),
        ),
        CISI,
        False,
        1460,
    ),
)
