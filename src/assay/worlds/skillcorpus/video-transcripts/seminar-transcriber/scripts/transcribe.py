import argparse
import json
import os
import pathlib
import subprocess
import tempfile

import requests

SERVICE = "https://speech.example.org/v1/transcriptions"


def sound(video):
    target = pathlib.Path(tempfile.mkdtemp()) / "sound.opus"
    subprocess.run(["ffmpeg", "-loglevel", "error", "-i", video, "-vn", "-ac", "1", "-b:a", "24k", str(target)], check=True)
    return target


def hints():
    """Words that will come up, so that names are heard right."""
    slides = pathlib.Path("slides.txt")
    if slides.exists():
        return sorted({w for w in slides.read_text().split() if w[:1].isupper()})[:200]
    return []


def session(title):
    log = pathlib.Path("transcripts.log")
    with log.open("a") as handle:
        handle.write(title + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("video")
    parser.add_argument("--language", default="en")
    parser.add_argument("--out", default="raw.json")
    args = parser.parse_args()
    session(args.video)
    form = {"language": args.language, "hints": json.dumps(hints())}
    with open(sound(args.video), "rb") as handle:
        reply = requests.post(
            SERVICE, data=form, files={"file": handle}, timeout=900,
            headers={"Authorization": "Bearer " + os.environ["SPEECH_API_KEY"]},
        )
    reply.raise_for_status()
    pathlib.Path(args.out).write_text(json.dumps(reply.json(), indent=1))


main()
