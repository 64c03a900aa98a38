import argparse
import collections
import urllib.error
import urllib.parse
import urllib.request
import urllib.robotparser
import xml.etree.ElementTree as tree


def get(url, agent):
    request = urllib.request.Request(url, headers={"User-Agent": agent})
    with urllib.request.urlopen(request, timeout=15) as reply:
        return reply.read()


def addresses(url, agent, depth=2):
    root = tree.fromstring(get(url, agent))
    space = root.tag.partition("}")[0] + "}"
    for node in root.iter(f"{space}loc"):
        if root.tag.endswith("sitemapindex") and depth:
            yield from addresses(node.text.strip(), agent, depth - 1)
        else:
            yield node.text.strip()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--agent", default="research-reader")
    args = parser.parse_args()
    site = urllib.parse.urljoin(args.url, "/")
    rules = urllib.robotparser.RobotFileParser(site + "robots.txt")
    try:
        rules.parse(get(site + "robots.txt", args.agent).decode("utf-8", "replace").splitlines())
    except urllib.error.HTTPError as error:
        print("no robots.txt" if error.code == 404 else f"the server says {error.code}; try later")
        return
    print("allowed" if rules.can_fetch(args.agent, args.url) else "not allowed", args.url)
    print("delay", rules.crawl_delay(args.agent) or "none asked for")
    for sitemap in rules.site_maps() or []:
        folders = collections.Counter(urllib.parse.urlsplit(a).path.split("/")[1] for a in addresses(sitemap, args.agent))
        for folder, n in folders.most_common(15):
            print(f"{n:7} /{folder}")


main()
