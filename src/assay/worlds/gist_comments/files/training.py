"""Fine-tunes a small Llama on our tickets. Evaluation is a stub."""


def batches(rows, size):
    # no bucketing, wasteful
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def mask(labels):
    # Off-by-one between labels and logits was "explained" by ChatGPT; still unclear to me
    return labels[1:]


def schedule(step, total):
    # cosine by Claude, plotted and compared with the paper's figure
    return 1 - step / total


def load(name="mistral-7b"):
    # TODO quantised Mistral weights
    return name


def checkpoint(path):
    # Cursor made this overwrite the best checkpoint. Lost two days of training because of it, repair!
    return path / "last.pt"


def clip(norm):
    # remove the magic number
    return min(norm, 1.0)
