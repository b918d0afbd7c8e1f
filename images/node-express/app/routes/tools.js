'use strict';
const router = require('express').Router();

router.get('/api/time', (request, response) => {
  const { DateTime } = require('luxon');
  const time = DateTime.fromISO('2026-07-01T12:00:00Z').setZone(request.query.zone).setLocale(request.query.locale || 'en');
  response.json({ time: time.toISO(), text: time.toLocaleString(DateTime.DATE_FULL) });
});
router.get('/api/checksum', (request, response) => {
  const { crc32 } = require('@node-rs/crc32');
  response.json(crc32(request.query.text));
});
router.get('/api/hash', (request, response) => {
  const { Worker } = require('worker_threads');
  const worker = new Worker(require.resolve('../worker'), { workerData: request.query.text });
  worker.once('message', (hash) => response.json(hash));
});
router.get('/api/run', (request, response, next) => {
  require('child_process').execFile('sort', ['-r'], (error, out) => (error ? next(error) : response.json(out.split('\n')))).stdin.end('a\nb\n');
});
router.get('/api/fetch', async (request, response) => {
  try {
    const { get } = require('https');
    get(request.query.url, () => response.json('fetched')).on('error', (error) => response.status(502).json(error.code));
  } catch (error) {
    response.status(400).json(error.code);
  }
});
router.get('/api/module', async (request, response) => {
  const { greet } = await import('../greet.mjs');
  response.json(greet(request.query.name));
});
module.exports = router;
