import pytest

from assay.methods.screens import Click, Done, GuiObs, Node, Type
from assay.models.gui_policy import LexicalGuiPolicy, alike


def node(i, role, name, options=()):
    return Node(i, role, name, "", (), (0.0, 30.0 * i, 100.0, 20.0), True, True, -1, options=options)


SCREEN = GuiObs(
    (node(0, "button", "Save"), node(1, "button", "Delete all"), node(2, "textbox", "Name"),
     node(3, "combobox", "Role", ("…", "editor")), node(4, "link", "Users")), "http://x.test/", "",
)  # fmt: skip


def sure(seed=0):
    return LexicalGuiPolicy(seed, noise=0, slip=0)


def test_it_does_what_is_most_like_what_it_is_told():
    assert sure().choose(SCREEN, "Press Save").action == Click(50.0, 10.0)
    assert sure().choose(SCREEN, "Open the page Users").node.name == "Users"
    assert sure().choose(SCREEN, 'Type "Ada" into Name').action == Type("Ada", 50.0, 70.0, clear=True)
    assert sure().choose(SCREEN, 'Choose "editor" as Role').action == Type("editor", 50.0, 100.0, clear=False)
    assert sure().choose(SCREEN, "zzzz").action == Done()


def test_advice_and_having_done_it_before_turn_it_away():
    told = sure()
    first = told.choose(SCREEN, "Press Delete all")
    assert first.node.name == "Delete all"
    assert sure().choose(SCREEN, "Press Delete all or Save", ["Press Delete all"]).node.name == "Save"
    for _ in range(4):
        told.remember(SCREEN, first)
    last = told.choose(SCREEN, "Press Delete all")
    assert first.said == "Press Delete all"
    assert last.node is None or last.node.name != "Delete all"


def test_a_slip_hits_the_neighbour_of_the_same_role_and_a_seed_repeats_itself():
    always = LexicalGuiPolicy(0, noise=0, slip=1)
    assert always.choose(SCREEN, "Press Save").node.name == "Delete all"
    drawn = [[LexicalGuiPolicy(s).choose(SCREEN, "Press Save").node for s in range(40)] for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert len({n.name for n in drawn[0] if n}) > 1


def test_likeness_and_bad_arguments():
    assert alike("Save", "Save") == pytest.approx(1)
    assert alike("Save", "zzz") == 0
    for noise, slip in ((-1, 0), (0, 2)):
        with pytest.raises(ValueError, match="noise, slip"):
            LexicalGuiPolicy(0, noise=noise, slip=slip)
