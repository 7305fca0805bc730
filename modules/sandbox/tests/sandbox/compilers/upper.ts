// The wasi-shim has console and process on preview1.
const buffer = new ArrayBuffer(256);
let text = "";
let read = process.stdin.read(buffer);
while (read > 0) {
  text += String.UTF8.decode(buffer.slice(0, read));
  read = process.stdin.read(buffer);
}
process.stdout.write(text.toUpperCase());
