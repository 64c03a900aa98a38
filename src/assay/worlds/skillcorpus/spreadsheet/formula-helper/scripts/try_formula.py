"""Work out an arithmetic formula for given cell values."""
import ast
import operator
import sys

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Pow: operator.pow}


def value(node, cells):
    match node:
        case ast.BinOp():
            return OPERATORS[type(node.op)](value(node.left, cells), value(node.right, cells))
        case ast.UnaryOp(op=ast.USub()):
            return -value(node.operand, cells)
        case ast.Name():
            return cells[node.id]
        case ast.Constant(value=int() | float()):
            return node.value
    raise SystemExit(f"cannot work out {ast.dump(node)}")


if __name__ == "__main__":
    given = dict(pair.split("=") for pair in sys.argv[2:])
    tree = ast.parse(sys.argv[1], mode="eval").body
    print(value(tree, {name: float(number) for name, number in given.items()}))
