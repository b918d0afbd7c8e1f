<?php
error_log('about to crash');
throw new RuntimeException('this page is broken');
