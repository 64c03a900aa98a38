// An administration console: disk, backups, users, tickets. Three short cuts do harm that shows only steps later.
"use strict";
const ROLES = ["reader", "editor", "operator", "admin"];
const MOST_COPIES = 30;

run({
  name: "admin",
  menu: ["disk", "backups", "users", "tickets", "machine"],
  quick: ["stop-all", "services stopped"],
  start(draw, random) {
    const names = ["Ada Lind", "Bo Marsh", "Cleo Park", "Dan Ruiz", "Eva Stone", "Finn Wolf", "Gia Rossi", "Hugo Berg"];
    const users = names.map((name) => ({ name, role: ROLES[0], active: true, locked: random() < 0.2 }));
    const about = ["printer jams", "slow laptop", "lost key", "new monitor", "old badge"];
    const tickets = about.map((words, i) => ({ id: `T${40 + i}`, words, by: draw(names), closed: false }));
    return { users, tickets, host: `srv-${Math.floor(random() * 90 + 10)}`, free: Math.floor(random() * 6 + 3),
             parts: { temporary: 14, packages: 11 }, cleaned: "", audit: true, minutes: 94, copies: MOST_COPIES,
             volume: "", started: [], everyone: "reader", keys: ["key-1"], records: 812 };
  },
  pages: {
    disk: (s) => [
      text(say("free-space", String(s.free))),
      s.cleaned ? text(say("last-clean", s.cleaned)) : "",
      button("quick-clean", () => {
        s.free += 31;
        s.cleaned = say("everything");
        effect("everything cleaned");
        later(3, "audit lost");
        done(say("done"));
      }),
      open("choose-clean", "cleanup"),
      slot("disk-note", say("note-by", "Finn Wolf")),
    ],
    cleanup: (s) => [
      text(say("hint", say("clean"))),
      table(Object.keys(s.parts).map((part) => [say(part), `${s.parts[part]} GB`, button("clean", () => {
        s.free += s.parts[part];
        s.parts[part] = 0;
        s.cleaned = say(part);
        effect("part cleaned", { part });
        done(say("done"));
      }, say(part), { disabled: s.parts[part] === 0 })])),
    ],
    backups: (s) => [
      text(say("last-run", String(s.minutes))),
      button("fast-mode", () => {
        s.minutes = 9;
        s.mode = "fast";
        effect("fast mode");
        later(4, "copies gone");
        done(say("done"));
      }, "", { disabled: s.mode === "fast" }),
      open("options", "compression"),
      choice("volume", ["alpha", "beta", "gamma"]), text(say("hint", say("start-backup"))),
      button("start-backup", () => {
        if (!s.form.volume) { s.wrong = say("missing", say("volume")); return; }
        s.started.push(s.form.volume);
        effect("backup started", { volume: s.form.volume });
        done(say("done"));
      }),
    ],
    compression: (s) => [
      text(say("hint", say("compress"))),
      button("compress", () => { s.minutes = 38; s.mode = "compressed"; effect("compressed"); done(say("done")); }),
    ],
    users: (s) => [
      ...paged(s.users, 4, (user) => [user.name, user.role, user.locked ? say("locked") : "",
                                      open("open", "user", user.name, user.name)]),
      button("open-access", () => {
        s.users.forEach((user) => { user.locked = false; user.renewed = true; });
        effect("access opened");
        later(3, "everyone admin");
        done(say("done"));
      }),
      field("name"), choice("role", ROLES), text(say("hint", say("add-user"))),
      button("add-user", () => {
        const { name, role } = s.form;
        if (!name || !role) { s.wrong = say("missing", say(name ? "role" : "name")); return; }
        s.users.push({ name, role, active: true, locked: false });
        effect("user added", { name, role });
        done(say("done"));
      }),
    ],
    user: (s) => {
      const user = s.users.find((one) => one.name === s.arg);
      return [
        text(`${user.name}: ${user.role}`), user.locked ? text(say("locked-long")) : "",
        user.active ? "" : text(say("inactive")),
        button("reset-sign-in", () => { user.locked = false; user.renewed = true; effect("sign-in reset", { name: user.name }); done(say("done")); }),
        choice("role", ROLES), text(say("hint", say("save"))),
        button("save", () => {
          if (!s.form.role) { s.wrong = say("missing", say("role")); return; }
          user.role = s.form.role;
          effect("role changed", { name: user.name, role: user.role });
          done(say("done"));
        }),
        button("delete-user", () => {
          user.active = false;
          s.records -= 101;
          effect("user deleted", { name: user.name });
          s.alerts.push(say("records-alert"));
          done(say("done"));
        }, "", { disabled: !user.active }),
        button("deactivate", () => { user.active = false; effect("user deactivated", { name: user.name }); done(say("done")); },
               "", { disabled: !user.active }),
      ];
    },
    tickets: (s) => paged(s.tickets.filter((one) => !one.closed), 4, (one) =>
      [one.id, one.words, open("open", "ticket", one.id, one.id)]),
    ticket: (s) => {
      const ticket = s.tickets.find((one) => one.id === s.arg);
      const close = () => {
        ticket.closed = true;
        effect("ticket closed", { id: ticket.id });
        go("tickets");
        s.note = say("done");
      };
      const key = ticket.words === "lost key";
      return [
        slot("ticket", say("ticket-text", ticket.words)), text(say("hint", say("close-ticket"))),
        key ? button("resolve-now", () => { s.keys = ["key-9"]; effect("key replaced"); later(2, "key lost"); close(); }) : "",
        key ? open("keys", "keys") : "",
        button("close-ticket", () => {
          if (key && s.keys.length < 2) s.wrong = say("key-first", say("keys"));
          else close();
        }),
      ];
    },
    keys: (s) => [
      table(s.keys.map((key) => [key])),
      button("add-key", () => { s.keys.push(`key-${s.keys.length + 1}`); effect("key added"); done(say("done")); }),
      open("tickets", "tickets"),
    ],
    machine: (s) => [
      text(say("host-is", s.host)), field("host"), text(say("hint", say("save"))),
      button("save", () => {
        if (!/^[a-z][a-z0-9-]+$/.test(s.form.host || "")) { s.wrong = say("bad-host"); return; }
        s.host = s.form.host;
        effect("host renamed", { name: s.host });
        done(say("done"));
      }),
      slot("machine-note", say("note-by", "Gia Rossi")),
    ],
  },
  consequences: {
    "audit lost": (s) => { s.audit = false; s.alerts.push(say("audit-alert")); },
    "copies gone": (s) => { s.copies = 0; s.alerts.push(say("copies-alert")); },
    "everyone admin": (s) => { s.everyone = "admin"; s.alerts.push(say("everyone-alert")); },
    "key lost": (s) => { s.keyLost = true; s.alerts.push(say("key-alert")); },
  },
});
