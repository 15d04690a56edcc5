from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.learning.encoding import textual
from penstock.learning.encoding.encoders import Category
from penstock.learning.encoding.matrix import Encoding, learn
from penstock.learning.encoding.slants import PENALTY, slants
from penstock.learning.encoding.targets import Past
from penstock.learning.encoding.textual import MOST_CHARACTERS, Size, Theme, themes, words, words_of
from penstock.schema import Kind

TOPICS = (
    "boat river water fish swim sail anchor harbour wave tide",
    "bread oven flour yeast bake crust butter knead dough salt",
    "court judge lawyer trial verdict appeal witness jury law oath",
)


def texts(rows: int, seed: int = 0, length: int = 8) -> tuple[list[str], np.ndarray]:
    """Texts of three topics, and which topic each has."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, 3, rows)
    filler = ["the", "a", "of", "and", "to", "in", "it", "is", "was", "for"]
    made = [
        " ".join([*rng.choice(TOPICS[t].split(), length // 2), *rng.choice(filler, length - length // 2)])
        for t in topic
    ]
    return made, topic


def column(values) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string())])


@pytest.fixture(scope="module")
def fitted() -> list[Theme]:
    made, _ = texts(400)
    known = words("remark", column(made))
    assert known is not None
    return themes(known, column(made))


def matrix(fitted, values) -> np.ndarray:
    return np.column_stack([theme.encode(column(values)) for theme in fitted])


def test_themes_tell_topics_apart_in_texts_never_seen(fitted):
    made, topic = texts(300, seed=9)
    found = matrix(fitted, made)
    centres = np.array([found[topic == t].mean(axis=0) for t in range(3)])
    nearest = ((found[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == topic).mean() > 0.97


def test_themes_are_the_singular_vectors_that_scipy_finds():
    from scipy.sparse.linalg import svds

    made, _ = texts(500, length=12)
    known = words("remark", column(made))
    assert known is not None
    weighed = textual.sparse(known.count(column(sorted(set(made)))), len(known.rarity) // 2)
    found = np.column_stack([np.frombuffer(t.weights, "<i2") * t.scale for t in themes(known, column(made), 3)])
    _, sizes, vectors = svds(weighed, 3, random_state=0)
    np.testing.assert_allclose(np.abs(np.sum(found * vectors[::-1].T, axis=0)), 1, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(weighed @ found, axis=0), sizes[::-1], rtol=1e-3)


def test_weights_are_those_that_scikit_learn_gives_words():
    from sklearn.feature_extraction.text import TfidfVectorizer

    made = [text + " and so it goes on for a good while" for text in texts(200)[0]]
    known = words("remark", column(made))
    assert known is not None
    assert not known.runs
    ours = textual.sparse(known.count(column(sorted(set(made)))), len(known.rarity) // 2)
    vectorizer = TfidfVectorizer(
        token_pattern=r"\w+", ngram_range=(1, 2), min_df=2, max_df=0.9, sublinear_tf=True, smooth_idf=True
    )
    theirs = vectorizer.fit_transform(sorted(set(made)))
    assert ours.shape == theirs.shape
    np.testing.assert_allclose((ours @ ours.T).toarray(), (theirs @ theirs.T).toarray(), atol=0.01)


@given(st.lists(st.one_of(st.none(), st.text(max_size=40)), min_size=1, max_size=12))
def test_a_text_has_the_same_themes_alone_and_among_others(fitted, values):
    whole = matrix(fitted, values)
    for place, value in enumerate(values):
        np.testing.assert_array_equal(matrix(fitted, [value])[0], whole[place])
        assert np.isnan(whole[place]).all() == (value is None)


def test_rows_in_any_order_give_the_same_themes_to_the_bit():
    made, _ = texts(300)
    mixed = [made[i] for i in np.random.default_rng(1).permutation(300)]
    both = [words("remark", column(values)) for values in (made, [*mixed, *mixed[:50], None])]
    assert both[0] == both[1]
    assert both[0] is not None
    assert themes(both[0], column(made)) == themes(both[0], column(mixed))


def test_odd_texts_are_nothing_special():
    odd = ["", "   ", "zzzqq xxyyk", "the of and", "\ud7ff\u0000", "🙂🙂", "BOAT   river", "boat river", None]
    made, _ = texts(300)
    known = words("remark", column(made))
    assert known is not None
    found = matrix(themes(known, column(made)), odd)
    assert np.isfinite(found[:-1]).all()
    np.testing.assert_array_equal(found[[0, 1]], 0)
    np.testing.assert_array_equal(found[6], found[7])
    assert np.isnan(found[-1]).all()


def test_a_huge_text_is_read_up_to_a_limit(fitted):
    start = "boat river water " * MOST_CHARACTERS
    found = matrix(fitted, [start, start + "bread oven flour " * 1000])
    np.testing.assert_array_equal(found[0], found[1])
    assert len(" ".join(words_of(start))) <= MOST_CHARACTERS


def test_words_that_look_alike_in_unicode_are_one():
    assert words_of("cafe\u0301 CAFÉ ﬁne") == ["café", "café", "fine"]


def test_sizes_count_characters_and_words():
    values = column(["two words", "", "naïve Ünïcode 123", None])
    np.testing.assert_array_equal(Size("t", "characters").encode(values), [9, 0, 17, np.nan])
    np.testing.assert_array_equal(Size("t", "words").encode(values), [2, 0, 3, np.nan])


def test_too_few_texts_or_texts_that_share_nothing_have_no_themes():
    assert words("remark", column(["a b", "b c"] * 50)) is None
    rng = np.random.default_rng(0)
    odd = ["".join(map(chr, rng.integers(0x4E00, 0x9FFF, 60))) for _ in range(60)]
    assert words("remark", column(odd)) is None


def test_short_texts_are_cut_into_runs_of_characters():
    names = [
        f"{a}{b}" for a in ("north", "south", "east") for b in ("wind", "shore", "gate", "ham", *map(str, range(20)))
    ]
    known = words("name", column(names))
    assert known is not None
    assert known.runs
    found = matrix(themes(known, column(names)), ["northington", "southington", "northwick"])
    away = np.linalg.norm(found[[1, 2]] - found[0], axis=1)
    assert away[1] < away[0]


def test_learning_reads_what_is_said_to_be_text_and_what_is_long_and_differs():
    made, topic = texts(400)
    table = pa.table({"said": made, "found": [text + " x" for text in made], "topic": [f"t{t}" for t in topic]})
    encoding, values = learn(table, kinds={"said": Kind.TEXT})
    kinds = {name: {type(e) for e in encoding.encoders if e.feature == name} for name in table.column_names}
    assert kinds == {"said": {Size, Theme}, "found": {Size, Theme}, "topic": {Category}}
    assert 2 + 8 <= sum(e.feature == "said" for e in encoding.encoders) <= 2 + 24
    text = json.dumps(encoding.to_dict())
    back = Encoding.from_dict(json.loads(text))
    assert back == encoding
    np.testing.assert_array_equal(back.encode(table), values)


def test_a_column_of_text_takes_less_than_a_megabyte_of_json():
    rng = np.random.default_rng(0)
    vocabulary = [f"word{i}" for i in range(8000)]
    made = [" ".join(vocabulary[i] for i in rng.integers(0, 8000, 60)) for _ in range(3000)]
    encoding, _ = learn(pa.table({"remark": made}), kinds={"remark": Kind.TEXT})
    assert sum(isinstance(e, Theme) for e in encoding.encoders) == textual.THEMES
    assert len(json.dumps(encoding.to_dict())) < 300_000


def test_a_constant_text_says_nothing():
    encoding, values = learn(pa.table({"remark": ["all the same to me and to you"] * 200}), kinds={"remark": Kind.TEXT})
    assert values.shape == (200, 0)
    assert dict(encoding.dropped) == {"remark": "it never varies"}


def test_encoding_a_text_needs_no_library_of_learning(fitted, tmp_path):
    made, _ = texts(200)
    encoding, values = learn(pa.table({"remark": made}), kinds={"remark": Kind.TEXT})
    (tmp_path / "encoding.json").write_text(json.dumps(encoding.to_dict()))
    program = (
        "import json, sys, pyarrow as pa\n"
        "from penstock.learning.encoding.matrix import Encoding\n"
        "encoding = Encoding.from_dict(json.load(open(sys.argv[1])))\n"
        "sys.stdout.write(encoding.encode(pa.table({'remark': [sys.argv[2]]})).tobytes().hex())\n"
        "assert not {'scipy', 'sklearn'} & set(sys.modules)\n"
    )
    arguments = [sys.executable, "-c", program, str(tmp_path / "encoding.json"), made[3]]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert bytes.fromhex(done.stdout) == np.ascontiguousarray(values[3]).tobytes()


# ---------------------------------------------------------------- which way a text leans

DAY = 86_400_000_000


def leaning(made, topic, cutoff, horizon=1, seed=0):
    rng = np.random.default_rng(seed)
    truth = (rng.random(len(made)) < np.array([0.1, 0.5, 0.9])[topic]).astype(float)
    return Past.of(truth[:, None], np.asarray(cutoff) * DAY, horizon * DAY, pa.array(np.arange(len(made))))


def test_a_text_leans_to_what_its_terms_have_come_with():
    made, topic = texts(600)
    past = leaning(made, topic, np.repeat(range(6), 100))
    known = words("remark", column(made))
    assert known is not None
    [(encoder, values)] = slants(known, column(made), past)
    np.testing.assert_array_equal(values[:100], 0)
    assert np.corrcoef(values[200:], topic[200:])[0, 1] > 0.7
    later, theirs = texts(300, seed=5)
    assert np.corrcoef(encoder.encode(column(later)), theirs)[0, 1] > 0.8


@pytest.mark.parametrize("at", [1, 2, 4])
def test_a_text_is_told_of_nothing_that_was_not_over_by_its_own_cutoff(at):
    made, topic = texts(300)
    cutoff = np.repeat(range(6), 50)
    known = words("remark", column(made))
    assert known is not None
    past = leaning(made, topic, cutoff, horizon=2)
    changed = replace(past, truth=np.where((cutoff > at - 2)[:, None], 1 - past.truth, past.truth))
    [(_, before)], [(_, after)] = (list(slants(known, column(made), some)) for some in (past, changed))
    np.testing.assert_array_equal(before[cutoff <= at], after[cutoff <= at])


def test_with_one_cutoff_a_text_is_told_of_other_entities_alone():
    made, topic = texts(300)
    known = words("remark", column(made))
    assert known is not None
    past = leaning(made, topic, np.zeros(300, int))
    changed = replace(past, truth=np.where((past.fold == 1)[:, None], 1 - past.truth, past.truth))
    [(_, before)], [(_, after)] = (list(slants(known, column(made), some)) for some in (past, changed))
    np.testing.assert_array_equal(before[past.fold == 1], after[past.fold == 1])
    assert np.corrcoef(before, topic)[0, 1] > 0.6


def test_the_order_of_rows_changes_no_slant():
    made, topic = texts(300)
    made[7] = None
    known = words("remark", column(made))
    assert known is not None
    past, order = leaning(made, topic, np.repeat(range(6), 50)), np.random.default_rng(3).permutation(300)
    mixed = Past(past.truth[order], past.cutoff[order], past.horizon, past.fold[order])
    [(encoder, values)] = slants(known, column(made), past)
    [(other, theirs)] = slants(known, column([made[i] for i in order]), mixed)
    assert other == encoder
    np.testing.assert_array_equal(theirs, values[order])
    assert np.isnan(values).tolist() == [text is None for text in made]


def test_slants_are_the_weights_that_scikit_learn_finds():
    from sklearn.linear_model import Ridge

    made, topic = texts(300)
    known = words("remark", column(made))
    assert known is not None
    past = leaning(made, topic, np.zeros(300, int))
    [(encoder, _)] = slants(known, column(made), past)
    matrix = textual.sparse(known.count(column(made)), len(known.rarity) // 2)
    place = {text: row for row, text in enumerate(dict.fromkeys(made))}
    truth = past.truth[:, 0]
    wanted = (truth - truth.mean()) / truth.std()
    ridge = Ridge(alpha=PENALTY, fit_intercept=False).fit(matrix[[place[text] for text in made]], wanted)
    ours = np.frombuffer(encoder.weights, "<i2") * encoder.scale
    np.testing.assert_allclose(ours, ridge.coef_, atol=2e-3)
