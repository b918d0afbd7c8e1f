'use strict';
const { parentPort, workerData } = require('worker_threads');
parentPort.postMessage(require('crypto').createHash('sha256').update(workerData).digest('hex'));
