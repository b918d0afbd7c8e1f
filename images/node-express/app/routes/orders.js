'use strict';
const router = require('express').Router();
const store = require('../store');

router.get('/api/orders', (request, response) => {
  response.format({
    json: () => response.json(store.read()),
    xml: () => {
      const { Builder } = require('xml2js');
      response.send(new Builder().buildObject({ orders: { order: store.read() } }));
    },
  });
});
router.post('/api/orders', (request, response) => {
  if (!Number.isInteger(request.body.count)) {
    return response.status(422).json({ error: 'count is no number' });
  }
  response.status(201).json({ id: store.add(request.body) });
});
module.exports = router;
