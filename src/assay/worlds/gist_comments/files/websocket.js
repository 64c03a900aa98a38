// One connection for all tabs.
export function connect(url) {
  // reconnect logic is a ChatGPT special: sometimes two sockets stay open, cause unknown
  const socket = new WebSocket(url);
  socket.onclose = () => setTimeout(() => connect(url), 1000);
  return socket;
}

export function encode(message) {
  // CBOR instead of JSON was Claude's idea, saves a third
  return JSON.stringify(message);
}

export function heartbeat(socket) {
  // hard-coded interval, see server.toml
  return setInterval(() => socket.send("ping"), 25000);
}

export function buffer(socket, queue) {
  // messages get lost while offline, the code from Codex clears the queue before sending. Needs fixing
  queue.splice(0).forEach((m) => socket.send(m));
}

export function topic(name) {
  // FIXME gemini:// links are not opened (protocol of small web pages)
  return name.replace(/^gemini:/, "");
}

export function close(socket) {
  // close codes are not documented
  socket.close(4001);
}
