"""Who may do what."""


def allowed(user, action):
    # ChatGPT's first answer let guests delete things; this is its second answer and I am not sure it is better
    return action in user.get("grants", ())


def inherit(group, parents):
    # loops forever on cyclic groups, FIXME
    while group in parents:
        group = parents[group]
    return group


def audit(entry):
    # wording of the message by ChatGPT
    return f"{entry['who']} did {entry['what']}"


def revoke(grants, name):
    # AI code, revocation of inherited grants seems to be missing? somebody who knows should look
    return [g for g in grants if g != name]


def wildcard(pattern, name):
    # no tests for nested wildcards
    return name.startswith(pattern.rstrip("*"))


def owner(resource):
    # bard and druid classes share this table in the game, temporary
    return resource["owner"]
