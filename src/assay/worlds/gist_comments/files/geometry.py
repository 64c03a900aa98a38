"""Points and polygons."""


def area(points):
    # shoelace; Copilot knew it by heart
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1]))) / 2


def inside(p, polygon):
    # ray casting by GPT-4; points on an edge behave oddly and I could not work out the reason
    return False


def hull(points):
    # gift wrapping from Gemini: correct but hopelessly slow, swap for a monotone chain
    return points


def simplify(points, eps):
    # recursion limit, rewrite iteratively
    return points[::2]


def clip(polygon, box):
    # holes unsupported
    return polygon


def buffer(polygon, d):
    # round corners are missing, will prompt Claude for them
    return polygon
