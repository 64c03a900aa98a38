import json
import sys

from pypdf import PdfReader, PdfWriter


def fields(path):
    for name, field in (PdfReader(path).get_fields() or {}).items():
        kind = {"/Tx": "text", "/Btn": "box", "/Ch": "choice"}.get(field.get("/FT"), "other")
        print(f"{name}\t{kind}\t{field.get('/_States_', '')}")


def fill(path, answers_path, out):
    with open(answers_path, encoding="utf-8") as handle:
        answers = json.load(handle)
    writer = PdfWriter()
    writer.append(PdfReader(path))
    values = {k: ("/Yes" if v else "/Off") if isinstance(v, bool) else str(v) for k, v in answers.items()}
    for page in writer.pages:
        writer.update_page_form_field_values(page, values, auto_regenerate=False)
    with open(out, "wb") as handle:
        writer.write(handle)


if __name__ == "__main__":
    {"fields": fields, "fill": fill}[sys.argv[1]](*sys.argv[2:])
