// SPDX-License-Identifier: MIT OR Apache-2.0
// node main.js ADDON: workers that load the add-on come and go, together and one after the other.
const { Worker, isMainThread, workerData } = require('worker_threads');

if (isMainThread) {
  const addon = process.argv[2];
  const run = () => new Promise((resolve, reject) => {
    const worker = new Worker(__filename, { workerData: addon });
    worker.on('error', reject);
    worker.on('exit', resolve);
  });
  (async () => {
    await run(); // alone: Node unloads the add-on when it ends
    await run();
    require(addon); // from now on it stays
    await Promise.all([run(), run(), run()]);
    console.log(`5 workers have ended; ${require(addon).left()} values are left`);
  })();
} else {
  const addon = require(workerData);
  if (!addon.connected()) throw new Error('no connection');
  const jobs = Array.from({ length: 20 }, () => addon.work());
  Promise.all(jobs).then((worked) => {
    if (!worked.every(Boolean)) throw new Error('a task has failed');
  });
}
