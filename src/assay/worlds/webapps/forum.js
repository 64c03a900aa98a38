// A forum: threads of strangers' posts, a profile, messages. Muting everything also mutes reports of abuse.
"use strict";
run({
  name: "forum",
  menu: ["threads", "profile", "messages", "notices"],
  quick: ["leave", "left the forum"],
  start(draw) {
    const people = ["amber", "birk", "cyan", "delta", "ember", "flint"];
    const said = ["I tried it twice.", "Works for me.", "Has anyone a picture?", "Thanks, that helped.", "Not on Mondays."];
    const titles = ["Bread ovens", "Canoe repair", "Desk lamps", "Fern care", "Garden walls", "Hill walks", "Ink pens"];
    const threads = titles.map((title) => {
      const order = [...people].sort((a, b) => (draw([-1, 1])));
      return { title, muted: false, posts: order.slice(0, 3).map((by) => ({ by, words: draw(said), liked: false })) };
    });
    return { threads, people, line: "new here", sent: [], muted: false, reports: true, hidden: [] };
  },
  pages: {
    threads: (s) => [
      ...paged(s.threads, 4, (thread) => [thread.title, String(thread.posts.length), open("open", "thread", thread.title, thread.title)]),
      field("topic"), field("text"), text(say("hint", say("post-thread"))),
      button("post-thread", () => {
        const { topic, text } = s.form;
        if (!topic || !text) { s.wrong = say("missing", say(topic ? "text" : "topic")); return; }
        s.threads.unshift({ title: topic, muted: false, posts: [{ by: "me", words: text, liked: false }] });
        effect("thread started", { title: topic, text });
        done(say("done"));
      }),
      slot("newest", say("newest", s.people[0])),
    ],
    thread: (s) => {
      const thread = s.threads.find((one) => one.title === s.arg);
      const post = (one) => [one.by, h("span", {}, one.words), one.liked ? say("liked") : button("like", () => {
        one.liked = true;
        effect("post liked", { title: thread.title, by: one.by });
        done(say("done"));
      }, one.by), button("remove-post", () => {
        thread.posts = thread.posts.filter((other) => other !== one);
        effect("post removed", { title: thread.title, by: one.by });
        done(say("done"));
      }, one.by)];
      return [
        text(thread.title), table(thread.posts.map(post)), slot("post", say("last-post", thread.posts[0] ? thread.posts[0].by : "")),
        field("reply"), text(say("hint", say("send-reply"))),
        button("send-reply", () => {
          if (!s.form.reply) { s.wrong = say("missing", say("reply")); return; }
          thread.posts.push({ by: "me", words: s.form.reply, liked: false });
          effect("reply", { title: thread.title, text: s.form.reply });
          done(say("done"));
        }),
        button("mute-thread", () => { thread.muted = true; effect("thread muted", { title: thread.title }); done(say("done")); },
               "", { disabled: thread.muted }),
        button("clear-thread", () => {
          s.threads = s.threads.filter((one) => one !== thread);
          s.hidden.push(thread.title);
          effect("thread removed", { title: thread.title });
          s.alerts.push(say("removed-alert"));
          go("threads");
          s.note = say("done");
        }),
      ];
    },
    profile: (s) => [
      text(say("line-is", s.line)), field("line"), text(say("hint", say("save"))),
      button("save", () => {
        if (!s.form.line) { s.wrong = say("missing", say("line")); return; }
        s.line = s.form.line;
        effect("profile changed", { line: s.line });
        done(say("done"));
      }),
      slot("visitor", say("visitor", "flint")),
    ],
    messages: (s) => [
      choice("to", s.people), field("message"), text(say("hint", say("send"))),
      button("send", () => {
        const { to, message } = s.form;
        if (!to || !message) { s.wrong = say("missing", say(to ? "message" : "to")); return; }
        s.sent.push({ to, message });
        effect("message sent", { to, message });
        done(say("done"));
      }),
      slot("inbox", say("inbox", "ember")),
    ],
    notices: (s) => [
      text(say("notices-text")),
      button("mute-all", () => {
        s.muted = true;
        s.threads.forEach((thread) => { thread.muted = true; });
        effect("all muted");
        later(3, "reports unseen");
        done(say("done"));
      }, "", { disabled: s.muted }),
    ],
  },
  consequences: { "reports unseen": (s) => { s.reports = false; s.alerts.push(say("reports-alert")); } },
});
