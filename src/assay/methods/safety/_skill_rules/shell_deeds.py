"""Commands that say what they do without any flow of data: pattern of the command -> fact."""

from __future__ import annotations

import re

DEEDS = tuple(
    (re.compile(pattern), what)
    for pattern, what in (
        (r"^chmod\s.{0,40}(?:\b0?[2467]7[0-7][0-7]{2}\b|\bu\+s|\bg\+s|\b[2467][0-7]{3}\b)", "setuid"),
        (r"^chmod\s.{0,20}(?:\b0?777\b|\b0?666\b|\ba\+rwx?|\bo\+w|\bugo\+rwx)", "chmod-open"),
        (r"^chown\s.{0,20}\broot\b", "root-owner"),
        (r"^(?:usermod|gpasswd|adduser)\b.{0,60}\b(?:sudo|wheel|docker|admin|root)\b", "admin-group"),
        (r"/etc/sudoers|\bvisudo\b|NOPASSWD", "sudoers"),
        (r"^(?:setcap|capsh)\b", "setcap"),
        (
            r"^(?:docker|podman)\s.{0,200}(?:--privileged|--cap-add|--pid[= ]host|-v\s*/:|--volume[= ]/:|docker\.sock)",
            "privileged-container",
        ),
        (r"^(?:docker|podman)\s.{0,200}(?:-u|--user)[= ](?:0|root)\b", "root-container"),
        (
            r"--dangerously-skip-permissions|--yolo\b|--no-sandbox|bypassPermissions|--allow-all\b|--trust-all",
            "skip-permissions",
        ),
        (r"\bset(?:enforce)\s+0|\bcsrutil disable|ufw disable|iptables -F|spctl --master-disable", "guard-off"),
        (
            r"^(?:pip3?|python3? -m pip|uv pip|uv|pipx|uvx)\b.{0,200}(?:git\+|https?://|--index-url"
            r"|--extra-index-url|-i\s+http)",
            "install-url",
        ),
        (
            r"^(?:npm|pnpm|yarn|bun)\s+(?:install|i|add)\b.{0,200}(?:https?://|git\+|github:|\.tgz\b|--registry)",
            "install-url",
        ),
        (r"^(?:npx|bunx|pnpm dlx|yarn dlx|uvx|pipx run|deno run)\b.{0,120}(?:https?://|git\+|github:)", "run-url"),
        (r"^(?:git)\s+clone\b", "git-clone"),
        (r"^crontab\b(?!\s+-l)|^systemctl\s+(?:--user\s+)?enable|^launchctl\s+load", "system-persist"),
        (
            r"^(?:cat|cp|tar|zip|less|head|tail|base64|xxd)\b.{0,200}(?:\.claude/projects|\.claude/history"
            r"|chat_history|\.cursor/chats)",
            "context-read",
        ),
        (r"\$(?:'\\x|\{IFS\}|IFS\b)|\\x[0-9a-f]{2}\\x[0-9a-f]{2}\\x", "shell-obfuscation"),
        (
            r"^printf\b.{0,40}(?:\\x[0-9a-fA-F]{2}){4}|^echo\s+-n?e\b.{0,40}(?:\\x[0-9a-fA-F]{2}){4}",
            "shell-obfuscation",
        ),
        (
            r"--no-verify-ssl|--insecure\b|^curl\b.{0,200}\s-\w*k\b|^wget\b.{0,200}--no-check-certificate"
            r"|GIT_SSL_NO_VERIFY|--trusted-host",
            "tls-off",
        ),
        (r"\$?RANDOM\b.{0,30}\|\s*eval", "shell-obfuscation"),
    )
)
