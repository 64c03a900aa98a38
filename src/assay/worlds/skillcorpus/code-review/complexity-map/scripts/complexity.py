import argparse
import ast
import pathlib

BRANCH = (ast.If, ast.For, ast.While, ast.ExceptHandler, ast.IfExp, ast.comprehension, ast.match_case)


def depth(node, level=0):
    inner = [depth(child, level + isinstance(node, (ast.If, ast.For, ast.While, ast.With, ast.Try))) for child in ast.iter_child_nodes(node)]
    return max(inner, default=level)


def paths(node):
    total = 1
    for child in ast.walk(node):
        total += isinstance(child, BRANCH)
        if isinstance(child, ast.BoolOp):
            total += len(child.values) - 1
    return total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--top", type=int, default=10)
    args = parser.parse_args()
    found = []
    for path in args.root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.append((paths(node) + 2 * depth(node), f"{path}:{node.lineno} {node.name}"))
    for score, where in sorted(found, reverse=True)[: args.top]:
        print(f"{score:4}  {where}")


main()
