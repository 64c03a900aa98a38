"""The tasks of `worlds.defective_answers`: for each family a right answer, ways to spoil it, and checks.

`$name`, `$k` and the like are filled in when a task is drawn. A defect replaces one piece of the right answer, which
stands in it once; different pieces do not overlap, so that defects of different pieces go together. Its harm is 4 where
ordinary use comes out wrong, 3 where a common case does, 2 at the edges, 1 where only manners suffer. A check is a
Python expression over `f` (the answer's function), `answer` (its text) and the helpers of `CHECKING`.
"""

from __future__ import annotations

from typing import NamedTuple


class Defect(NamedTuple):
    """A piece of the right answer, what stands there instead, and how much harm that does."""

    right: str
    wrong: str
    harm: int


class Check(NamedTuple):
    """What a criterion asks for, its points, and the expression that decides. `fine`: of the sort that one thinks of
    when one sees answers differ, not when one sits down to write a rubric."""

    asks: str
    points: int
    test: str
    fine: bool = False


class Family(NamedTuple):
    """One kind of task. `code`: the answer is Python that defines `$name`; otherwise it is prose."""

    prompt: str
    answer: str
    defects: tuple[Defect, ...]
    checks: tuple[Check, ...]
    code: bool = True


CHECKING = """
import contextlib, copy, io

def silent(f, *args):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        f(*args)
    return said.getvalue() == ""

def kept(f, *args):
    before = copy.deepcopy(args)
    f(*args)
    return args == before

def refuses(f, *args):
    try:
        f(*args)
    except ValueError:
        return True
    return False
"""

MEAN = Family(
    "Write `$name(numbers)`: the mean of the numbers, rounded to $k decimals. None among them are left out; without "
    "any number it is None. Any iterable may be given.",
    '''def $name(numbers):
    """The mean of the numbers, rounded to $k decimals; None without any."""
    values = [float(number) for number in numbers if number is not None]
    if not values:
        return None
    total = sum(values)
    return round(total / len(values), $k)
''',
    (
        Defect(" / len(values)", " // len(values)", 4),
        Defect("sum(values)", "sum(abs(value) for value in values)", 3),
        Defect(" if number is not None", "", 3),
        Defect("    if not values:\n        return None\n", "", 2),
        Defect(", $k)", ", $k - 1)", 2),
        Defect("for number in numbers", "for number in numbers[:]", 2),
        Defect('    """The mean of the numbers, rounded to $k decimals; None without any."""\n', "", 1),
        Defect("    total = ", '    print("adding up")\n    total = ', 1),
    ),
    (
        Check("The mean of whole numbers is right.", 10, "f([2, 4, 6]) == 4"),
        Check("A mean between whole numbers is right.", 9, "f([1, 2]) == 1.5"),
        Check("One number is its own mean.", 6, "f([3]) == 3"),
        Check("Negative numbers count as such.", 8, "f([-3, 1]) == -1"),
        Check("It takes a list of decimals.", 6, "f([0.5, 1.5]) == 1"),
        Check("The result is a float.", 3, "isinstance(f([1, 2, 3]), float)"),
        Check("Without numbers it gives None.", 5, "f([]) is None", True),
        Check("None among the numbers is left out.", 6, "f([1, None, 3]) == 2", True),
        Check("Only None is like no number.", 4, "f([None]) is None", True),
        Check("The result has the decimals asked for.", 5, "f([1, 1, 2]) == round(4 / 3, $k)", True),
        Check("It takes any iterable.", 4, "f(iter([1, 2])) == 1.5", True),
        Check("It has a docstring.", 2, "bool(f.__doc__)", True),
        Check("It prints nothing.", 2, "silent(f, [1, 2])", True),
        Check("Its argument stays as it was.", 3, "kept(f, [3, 1, 2])", True),
    ),
)

TOP = Family(
    "Write `$name(items, k)`: the k largest items, largest first, equal ones as often as they occur. Fewer than k are "
    "all given back; a negative k raises ValueError. The argument is not changed.",
    '''def $name(items, k=$k):
    """The k largest items, largest first."""
    if k < 0:
        raise ValueError("k: wanted 0 or more")
    ordered = sorted(items, reverse=True)
    return list(ordered[:k])
''',
    (
        Defect(", reverse=True", "", 4),
        Defect("[:k]", "[: k + 1]", 4),
        Defect("sorted(items", "sorted(set(items)", 3),
        Defect('    if k < 0:\n        raise ValueError("k: wanted 0 or more")\n', "", 2),
        Defect("    return list(", "    ordered[k - 1]\n    return list(", 2),
        Defect("    ordered = ", "    items.sort()\n    ordered = ", 1),
        Defect("k=$k", "k", 1),
        Defect('    """The k largest items, largest first."""\n', "", 1),
    ),
    (
        Check("The largest items come first.", 10, "f([1, 3, 2], 2) == [3, 2]"),
        Check("It gives no more than k items.", 9, "len(f([5, 4, 3, 2, 1], 2)) == 2"),
        Check("The items given are the largest.", 9, "sorted(f([1, 9, 5, 7], 2)) == [7, 9]"),
        Check("One item can be asked for.", 6, "f([4, 8], 1) == [8]"),
        Check("Negative numbers are ordered too.", 6, "f([-1, -5, -3], 2) == [-1, -3]"),
        Check("The result is a list.", 3, "isinstance(f([1, 2], 1), list)"),
        Check("Equal items are given as often as they occur.", 6, "f([2, 2, 1], 2) == [2, 2]", True),
        Check("With fewer than k items all are given.", 5, "f([1, 2], 5) == [2, 1]", True),
        Check("A k of 0 gives an empty list.", 4, "f([1, 2], 0) == []", True),
        Check("A negative k is refused with ValueError.", 5, "refuses(f, [1, 2], -1)", True),
        Check("No items give an empty list.", 4, "f([], $k) == []", True),
        Check("The argument is not reordered.", 4, "kept(f, [2, 3, 1], 2)", True),
        Check("k may be left out.", 2, "f(list(range(9))) == list(range(8, 8 - $k, -1))", True),
        Check("It takes a tuple.", 3, "f((1, 2), 1) == [2]", True),
        Check("It has a docstring.", 2, "bool(f.__doc__)", True),
    ),
)

COUNTS = Family(
    "Write `$name(text)`: how often each word occurs, as a dict. Words are runs of letters, digits and apostrophes; "
    "capitals do not matter; words of fewer than $k characters are left out.",
    '''import re


def $name(text):
    """How often each word of at least $k characters occurs."""
    counts = {}
    for word in re.findall(r"[\\w']+", text.lower()):
        word = word.strip("'")
        if len(word) >= $k:
            counts[word] = counts.get(word, 0) + 1
    return counts
''',
    (
        Defect("counts.get(word, 0) + 1", "1", 4),
        Defect('re.findall(r"[\\w\']+", ', "str.split(", 3),
        Defect(".lower()", "", 3),
        Defect("        if len(word) >= $k:\n            counts", "        if word:\n            counts", 3),
        Defect('        word = word.strip("\'")\n', "", 2),
        Defect("    return counts", "    return counts or None", 2),
        Defect("    counts = {}", "    counts = dict()\n    print(text[:9])", 1),
        Defect('    """How often each word of at least $k characters occurs."""\n', "", 1),
    ),
    (
        Check("A word that occurs once counts 1.", 8, "f('orange')['orange'] == 1"),
        Check("A word that occurs twice counts 2.", 10, "f('apples apples')['apples'] == 2"),
        Check("Different words are told apart.", 8, "f('apples oranges') == {'apples': 1, 'oranges': 1}"),
        Check("Three occurrences count 3.", 7, "f('banana banana banana').get('banana') == 3"),
        Check("The result is a dict.", 4, "isinstance(f('orange'), dict)"),
        Check("A full stop is no part of a word.", 7, "'orange' in f('One orange.')", True),
        Check("Capitals do not matter.", 7, "f('Orange ORANGE').get('orange') == 2", True),
        Check("Words that are too short are left out.", 6, "'a' not in f('a orange')", True),
        Check("Quotation marks are no part of a word.", 4, "'orange' in f(\"an 'orange'\")", True),
        Check("An apostrophe inside a word stays.", 4, '"farmer\'s" in f("the farmer\'s")', True),
        Check("No text gives an empty dict.", 5, "f('') == {}", True),
        Check("Line breaks part words.", 4, "'second' in f('first\\nsecond')", True),
        Check("It prints nothing.", 2, "silent(f, 'orange')", True),
        Check("It has a docstring.", 2, "bool(f.__doc__)", True),
    ),
)

INTERVALS = Family(
    "Write `$name(intervals)`: overlapping [start, end] pairs merged, in rising order, as a list of tuples. Pairs that "
    "touch, or are at most $k apart, are merged too; a pair whose start lies behind its end raises ValueError.",
    '''def $name(intervals):
    """The intervals, those at most $k apart merged, in rising order."""
    merged = []
    for start, end in sorted(intervals):
        if start > end:
            raise ValueError(f"got ({start}, {end}), wanted start <= end")
        if merged and start - merged[-1][1] <= $k:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
''',
    (
        Defect("sorted(intervals)", "list(intervals)", 4),
        Defect("max(merged[-1][1], end)", "end", 3),
        Defect("- merged[-1][1] <= $k", "- merged[-1][1] < 0", 3),
        Defect(
            '        if start > end:\n            raise ValueError(f"got ({start}, {end}), wanted start <= end")\n',
            "",
            2,
        ),
        Defect("    merged = []", "    merged = [] if intervals[0] else []", 2),
        Defect("merged.append((start, end))", "merged.append([start, end])", 1),
        Defect("    return merged", "    print(len(merged))\n    return merged", 1),
        Defect('    """The intervals, those at most $k apart merged, in rising order."""\n', "", 1),
    ),
    (
        Check("Two that overlap become one.", 10, "list(map(tuple, f([(0, 20), (10, 30)]))) == [(0, 30)]"),
        Check("Two far apart stay two.", 9, "len(f([(0, 10), (50, 60)])) == 2"),
        Check("Three in a chain become one.", 7, "len(f([(0, 20), (10, 40), (30, 50)])) == 1"),
        Check("One stays as it is.", 6, "list(map(tuple, f([(3, 4)]))) == [(3, 4)]"),
        Check("The result is a list.", 3, "isinstance(f([(1, 2)]), list)"),
        Check("The order given does not matter.", 7, "len(f([(10, 30), (0, 20)])) == 1", True),
        Check("The result stands in rising order.", 6, "tuple(f([(50, 60), (0, 10)])[0]) == (0, 10)", True),
        Check("One inside another is swallowed.", 6, "tuple(f([(0, 50), (10, 20)])[0]) == (0, 50)", True),
        Check("Those that touch are merged.", 5, "len(f([(0, 10), (10, 20)])) == 1", True),
        Check("Those just close enough are merged.", 5, "len(f([(0, 10), (10 + $k, 40)])) == 1", True),
        Check("Those just too far apart stay two.", 5, "len(f([(0, 10), (11 + $k, 40)])) == 2", True),
        Check("A pair the wrong way round is refused.", 4, "refuses(f, [(5, 1)])", True),
        Check("No intervals give an empty list.", 4, "f([]) == []", True),
        Check("Intervals come back as tuples.", 3, "all(isinstance(i, tuple) for i in f([(0, 1), (50, 60)]))", True),
        Check("It prints nothing.", 2, "silent(f, [(0, 1)])", True),
        Check("It has a docstring.", 2, "bool(f.__doc__)", True),
    ),
)

SLUG = Family(
    "Write `$name(title)`: the title as a slug for a web address. Lower case, runs of anything but letters and digits "
    "become one hyphen, none at either end, at most $width characters, accents dropped.",
    '''import re
import unicodedata


def $name(title):
    """The title as a slug of at most $width characters."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower())
    slug = slug.strip("-")
    slug = slug[:$width]
    return slug.rstrip("-")
''',
    (
        Defect('"-", plain', '"_", plain', 4),
        Defect(".lower()", "", 4),
        Defect('+", "', '", "', 3),
        Defect("    slug = slug[:$width]\n", "", 3),
        Defect('unicodedata.normalize("NFKD", title)', "title", 2),
        Defect('    slug = slug.strip("-")\n', "", 2),
        Defect('.rstrip("-")', "", 2),
        Defect('    """The title as a slug of at most $width characters."""\n', "", 1),
    ),
    (
        Check("Words are joined by hyphens.", 10, "f('good day') == 'good-day'"),
        Check("One word stays one word.", 7, "f('day') == 'day'"),
        Check("Capitals become small.", 9, "f('Day') == 'day'"),
        Check("Digits stay.", 6, "f('day 5') == 'day-5'"),
        Check("No blank is left.", 6, "' ' not in f('a b c')"),
        Check("Several signs in a row become one hyphen.", 6, "f('good - day') == 'good-day'", True),
        Check("An apostrophe becomes a hyphen.", 4, "f(\"it's\") == 'it-s'", True),
        Check("A long title is cut.", 6, "len(f('word ' * 40)) <= $width", True),
        Check("A cut title does not end in a hyphen.", 4, "f('x' * ($width - 1) + ' yz')[-1] == 'x'", True),
        Check("Accents are dropped, their letters kept.", 5, "f('café') == 'cafe'", True),
        Check("A sign in front leaves no hyphen.", 4, "f('(new) day') == 'new-day'", True),
        Check("A sign at the end leaves no hyphen.", 4, "f('new day!') == 'new-day'", True),
        Check("An empty title gives an empty slug.", 3, "f('') == ''", True),
        Check("Signs alone give an empty slug.", 3, "f('?!') == ''", True),
        Check("It has a docstring.", 2, "bool(f.__doc__)", True),
    ),
)

CHUNKS = Family(
    "Write `$name(items, size=$k)`: the items in order, cut into lists of `size`, the last one shorter if need be. A "
    "size below 1 raises ValueError; any iterable may be given.",
    '''def $name(items, size=$k):
    """The items in order, cut into lists of `size`."""
    if size < 1:
        raise ValueError("size: wanted at least 1")
    whole = list(items)
    starts = range(0, len(whole), size)
    return [list(whole[i : i + size]) for i in starts]
''',
    (
        Defect("i + size]", "i + size - 1]", 4),
        Defect("len(whole), size)", "len(whole) - size + 1, size)", 4),
        Defect("list(items)", "sorted(items)", 3),
        Defect('    if size < 1:\n        raise ValueError("size: wanted at least 1")\n', "", 2),
        Defect("    starts = ", "    whole[0]\n    starts = ", 2),
        Defect("=$k)", ")", 1),
        Defect("    return [", '    print("cut")\n    return [', 1),
        Defect('    """The items in order, cut into lists of `size`."""\n', "", 1),
    ),
    (
        Check("An even number of items is cut in pairs.", 10, "f([1, 2, 3, 4], 2) == [[1, 2], [3, 4]]"),
        Check("Every piece has the size asked for.", 8, "[len(p) for p in f(list(range(9)), 3)] == [3, 3, 3]"),
        Check("Pieces of one are possible.", 6, "f([1, 2], 1) == [[1], [2]]"),
        Check("A size as long as the items gives one piece.", 6, "f([1, 2, 3], 3) == [[1, 2, 3]]"),
        Check("Pieces are lists.", 4, "all(isinstance(p, list) for p in f([1, 2], 1))"),
        Check("What is left over is the last, shorter piece.", 8, "f([1, 2, 3], 2) == [[1, 2], [3]]", True),
        Check("A size beyond the items gives them all.", 5, "f([1, 2], 5) == [[1, 2]]", True),
        Check("The order given stays.", 6, "f([3, 1, 2, 0], 2) == [[3, 1], [2, 0]]", True),
        Check("No items give no pieces.", 5, "f([], 2) == []", True),
        Check("A size of 0 is refused with ValueError, not otherwise.", 4, "refuses(f, [], 0)", True),
        Check("A negative size is refused.", 4, "refuses(f, [1, 2], -1)", True),
        Check("It takes any iterable.", 4, "f(iter([1, 2]), 2) == [[1, 2]]", True),
        Check("The size may be left out.", 2, "len(f(list(range($k)))) == 1", True),
        Check("The argument stays as it was.", 3, "kept(f, [3, 1, 2], 2)", True),
        Check("It prints nothing.", 2, "silent(f, [1], 1)", True),
        Check("It has a docstring.", 2, "bool(f.__doc__)", True),
    ),
)

SUM = Family(
    "Add $a, $b and $c from left to right. Write each addition on a line of its own like 12+19=31, without blanks, "
    "then the total alone on a last line like #31. Write nothing else.",
    "$a+$b=$ab\n$ab+$c=$abc\n#$abc\n",
    (
        Defect("\n#$abc", "\n#$off", 4),
        Defect("=$abc", "=$off", 3),
        Defect("$a+$b=$ab\n", "", 3),
        Defect("\n#$abc", "\n$abc", 2),
        Defect("\n#$abc", "\n\n#$abc", 1),
        Defect("\n#$abc", ".\n#$abc", 1),
        Defect("$ab+$c", "then $ab+$c", 1),
    ),
    (
        Check("The total stands in the reply.", 9, "'$abc' in answer"),
        Check("It adds with a plus sign.", 6, "'+' in answer"),
        Check("It shows how the total comes about.", 7, "'=' in answer"),
        Check("It has several lines.", 5, "len(answer.split()) > 1"),
        Check("The first number stands in the reply.", 5, "'$a' in answer"),
        Check("The last line holds the right total.", 10, "answer.split()[-1].strip('#.') == '$abc'", True),
        Check("The last line starts with #.", 5, "answer.split('\\n')[-2].startswith('#')", True),
        Check("The first addition is there and right.", 7, "'$a+$b=$ab' in answer", True),
        Check("The second addition is there and right.", 7, "'$ab+$c=$abc' in answer.split()", True),
        Check("There is one line an addition and one for the total.", 4, "answer.count('\\n') == 3", True),
        Check("There are no words.", 3, "not any(c.isalpha() for c in answer)", True),
        Check("No line is empty.", 2, "'\\n\\n' not in answer", True),
        Check("No line ends in a full stop.", 2, "'.' not in answer", True),
        Check("There are no blanks.", 2, "' ' not in answer", True),
    ),
    code=False,
)

SQUARES = Family(
    "List the squares of the first $k whole numbers from 1 on, as a Markdown list with lines like `- 3: 9`, smallest "
    "first, then a line `total: ` with their sum. Write nothing else.",
    "$squares\ntotal: $total\n",
    (
        Defect("\ntotal: $total", "\ntotal: $off", 4),
        Defect("- 2: 4\n", "- 2: 5\n", 4),
        Defect("- 1: 1\n", "", 3),
        Defect("- 3: 9\n", "- 3: 9\n- 3: 9\n", 2),
        Defect("\ntotal: $total", "\n\ntotal: $total", 1),
        Defect("\ntotal: $total", "\ntotal: $total\nShall I go on?", 1),
        Defect("$last", "$last squared", 1),
    ),
    (
        Check("It is a list.", 8, "answer.count('- ') > 2"),
        Check("The square of the last number is there.", 8, "'$last' in answer"),
        Check("There is a total.", 7, "'total' in answer"),
        Check("A list line has a number and its square.", 6, "'- 3: 9' in answer"),
        Check("Most squares are there.", 6, "answer.count(': ') >= $k - 1"),
        Check("The square of 2 is right.", 7, "'- 2: 4\\n' in answer", True),
        Check("The total is right.", 8, "'total: $total' in answer.split('\\n')", True),
        Check("The list starts at 1.", 6, "answer.startswith('- 1: 1\\n')", True),
        Check("No number stands twice.", 5, "answer.count('- 3:') == 1", True),
        Check("There are as many list lines as asked for.", 5, "answer.count('- ') == $k", True),
        Check("No line is empty.", 2, "'\\n\\n' not in answer", True),
        Check("List lines hold nothing else.", 2, "'squared' not in answer", True),
        Check("It ends with the total.", 3, "answer.split('\\n')[-2].startswith('total')", True),
    ),
    code=False,
)

FAMILIES = (MEAN, TOP, COUNTS, INTERVALS, SLUG, CHUNKS, SUM, SQUARES)
