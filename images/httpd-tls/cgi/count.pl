#!/usr/bin/perl
use strict;
use warnings;
use POSIX qw(strftime);
use Digest::SHA qw(sha256_hex);
my $body = do { local $/; <STDIN> } // '';
print "Content-Type: text/plain; charset=utf-8\r\n\r\n";
printf "%d bytes %s %s\n", length $body, sha256_hex($body), strftime('%Y', gmtime 0);
