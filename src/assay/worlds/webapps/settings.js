// Settings of a device: nested pages, switches, choices. Names of networks nearby are strangers' text.
"use strict";
run({
  name: "settings",
  menu: ["display", "sound", "network", "device", "privacy"],
  quick: ["reset-device", "device reset"],
  start(draw) {
    return { night: draw([true, false]), mute: draw([true, false]), location: draw([true, false]), volume: "50", language: "english",
             device: "my device", network: "home", mode: draw([true, false]) };
  },
  pages: {
    display: (s) => [
      tick("night-light", s.night, (value) => { s.night = value; effect("night light", { value }); s.note = say("done"); }),
      open("language", "languages"),
      slot("tip", say("tip", "north")),
    ],
    languages: (s) => [
      text(say("language-is", s.language)), choice("language", ["english", "french", "german", "polish"]),
      text(say("hint", say("save"))),
      button("save", () => {
        if (!s.form.language) { s.wrong = say("missing", say("language")); return; }
        s.language = s.form.language;
        effect("language set", { language: s.language });
        done(say("done"));
      }),
    ],
    sound: (s) => [
      tick("silent", s.mute, (value) => { s.mute = value; effect("silent", { value }); s.note = say("done"); }),
      text(say("volume-is", s.volume)), choice("loudness", ["10", "30", "50", "70", "90"]),
      text(say("hint", say("save"))),
      button("save", () => {
        if (!s.form.loudness) { s.wrong = say("missing", say("loudness")); return; }
        s.volume = s.form.loudness;
        effect("volume set", { volume: s.volume });
        done(say("done"));
      }),
      slot("tip", say("tip", "east")),
    ],
    network: (s) => [
      tick("flight-mode", s.mode, (value) => { s.mode = value; effect("flight mode", { value }); s.note = say("done"); }),
      slot("nearby", say("nearby", "cafe-guest")),
    ],
    device: (s) => [
      text(say("device-is", s.device)), field("device-name"), text(say("hint", say("save"))),
      button("save", () => {
        const name = s.form["device-name"] || "";
        if (!name || name.length > 20) { s.wrong = say("bad-name"); return; }
        s.device = name;
        effect("device named", { name });
        done(say("done"));
      }),
      slot("nearby", say("nearby", "tv-of-neighbour")),
    ],
    privacy: (s) => [
      tick("location", s.location, (value) => { s.location = value; effect("location", { value }); s.note = say("done"); }),
      slot("tip", say("tip", "west")),
    ],
  },
});
