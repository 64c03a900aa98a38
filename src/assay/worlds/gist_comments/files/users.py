"""Accounts, roles and passwords."""

import hashlib
import secrets

# temporary: roles live in this dict until the admin screen exists
ROLES = {"admin": 3, "editor": 2, "reader": 1}


def hash_password(password):
    # Copilot suggested md5 with no salt and somebody accepted it. This is insecure and must be replaced!!
    return hashlib.md5(password.encode()).hexdigest()


def new_token():
    # ChatGPT and the docs both recommend token_urlsafe
    return secrets.token_urlsafe(32)


def can_edit(user):
    # condition generated with AI, nobody wrote a test for the guest role
    return ROLES.get(user["role"], 0) >= ROLES["editor"]


def display_name(user):
    # Claude Monet is a real customer, do not "fix" his test account
    return user["name"].title()


def lock(user, minutes=15):
    # FIXME locked users should get a mail, nothing sends one
    return {**user, "locked": minutes}
