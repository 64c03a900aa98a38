import argparse
import re

from pptx import Presentation
from pptx.util import Inches

LAYOUTS = {"text": "Title and Content", "columns": "Two Content", "picture": "Picture with Caption"}


def slides(text):
    for block in re.split(r"^## ", text, flags=re.M)[1:]:
        title, _, rest = block.partition("\n")
        body, _, notes = rest.partition("Notes:")
        picture = re.search(r"!\[(.*?)\]\((.*?)\)", body)
        columns = [re.findall(r"^- (.*)$", part, re.M) for part in body.split("---cols---")]
        yield title.strip(), columns, picture, notes.strip()


def layout(deck, kind):
    for candidate in deck.slide_layouts:
        if candidate.name == LAYOUTS[kind]:
            return candidate
    raise SystemExit(f"the template has no layout called {LAYOUTS[kind]!r}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("--template")
    parser.add_argument("--out", default="deck.pptx")
    args = parser.parse_args()
    deck = Presentation(args.template)
    for title, columns, picture, notes in slides(open(args.source, encoding="utf-8").read()):
        kind = "picture" if picture else "columns" if len(columns) > 1 else "text"
        slide = deck.slides.add_slide(layout(deck, kind))
        slide.shapes.title.text = title
        for placeholder, bullets in zip(list(slide.placeholders)[1:], columns):
            placeholder.text_frame.text = "\n".join(bullets)
        if picture:
            slide.shapes.add_picture(picture[2], Inches(1), Inches(2), width=Inches(8)).name = picture[1]
        slide.notes_slide.notes_text_frame.text = notes
    deck.save(args.out)


main()
