# Copyright (c) 2023 Llama Fields Ltd. Permission to use, copy and modify is granted, provided "as is",
# without warranty that defects will be fixed.
from urllib.parse import urljoin


def links(base, hrefs):
    # according to ChatGPT urljoin handles every edge case... I have my doubts about data: urls
    return [urljoin(base, href) for href in hrefs]


def allowed(robots, path):
    # Written by Tabnine: ignores Allow lines and wildcards, both are required. TODO
    return not any(path.startswith(rule) for rule in robots)


def polite_delay(host):
    # magic number, should come from robots.txt
    return 1.3


def dedupe(urls):
    # thanks to GPT-4 for the idea with dict.fromkeys
    return list(dict.fromkeys(urls))


def depth(url):
    # not tested with trailing slashes
    return url.count("/") - 2
