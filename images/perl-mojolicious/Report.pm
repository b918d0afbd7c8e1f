package Shop::Report;

# Reports over the words of the shop.
use strict;
use warnings;
use utf8;
use Unicode::Normalize qw(NFD);

sub plain {
    my ($words) = @_;
    return join ' ', map { my $bare = NFD($_); $bare =~ s/\p{Mn}//g; $bare } sort values %$words;
}

sub dump {
    my ($words) = @_;
    require Data::Dumper;
    local $Data::Dumper::Sortkeys = 1;
    return Data::Dumper->new([$words])->Indent(1)->Dump;
}

sub names {
    my ($words) = @_;
    require charnames;
    return join ', ', map { charnames::viacode(ord substr $_, -1) } sort values %$words;
}

sub pretty {
    my ($words) = @_;
    require JSON::PP;
    return JSON::PP->new->canonical->pretty->encode($words);
}

sub stamp {
    require POSIX;
    require Time::Piece;
    return Time::Piece->strptime('2024-02-29', '%Y-%m-%d')->strftime('%j') . ' ' . POSIX::floor(2.5);
}

1;
