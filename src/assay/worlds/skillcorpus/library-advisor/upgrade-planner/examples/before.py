import urllib2


def report(rows, out):
    total = 0
    for name, count in rows.iteritems():
        print >>out, "%-20s %d" % (name, count)
        total += count
    try:
        print "mean", total / len(rows)
    except ZeroDivisionError, e:
        print "no rows:", e
