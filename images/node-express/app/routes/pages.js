'use strict';
const router = require('express').Router();

router.get('/', (request, response) => response.render('index', { name: request.query.name || 'nobody' }));
router.get('/about', (request, response) => response.render('about', { year: 2026 }));
router.get('/broken', () => {
  throw new Error('broken on purpose');
});
module.exports = router;
