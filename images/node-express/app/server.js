'use strict';
const path = require('path');
const express = require('express');
const compression = require('compression');
const morgan = require('morgan');

const app = express();
app.set('view engine', 'ejs');
app.set('views', path.join(__dirname, 'views'));
app.use(morgan('short'));
app.use(compression({ threshold: 0 }));
app.use('/static', express.static(path.join(__dirname, 'public')));
app.use(express.json());
for (const name of ['pages', 'orders', 'tools']) app.use(require(`./routes/${name}`));

app.use((request, response) => response.status(404).render('errors/404', { path: request.path }));
app.use((error, request, response, next) => {
  console.error(error.stack);
  response.status(error.status || 500).render(`errors/${error.status === 400 ? 400 : 500}`, { error });
});

const server = app.listen(3000, () => console.log('listening on 3000'));
process.on('SIGTERM', () => server.close(() => process.exit(0)));
process.on('SIGHUP', () => console.log('reloaded at', Intl.DateTimeFormat().resolvedOptions().timeZone));
