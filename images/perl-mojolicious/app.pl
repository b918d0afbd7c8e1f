#!/usr/bin/perl
# A shop's small API: words in several languages, and reports about them.
use Mojolicious::Lite -signatures;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";

my %words = (coffee => 'café', tea => 'té');

get '/' => 'index';

get '/words' => sub ($c) { $c->render(json => \%words) };

# Reports are rare, so what they need is loaded when the first one is asked for.
get '/report/:kind' => sub ($c) {
    require Shop::Report;
    my $make = Shop::Report->can($c->param('kind')) or return $c->reply->not_found;
    $c->render(text => $make->(\%words));
};

get '/encoded/:charset' => sub ($c) {
    require Encode;
    my $bytes = Encode::encode($c->param('charset'), join(' ', sort values %words), Encode::FB_CROAK());
    $c->render(data => unpack('H*', $bytes));
};

post '/words' => sub ($c) {
    my $word = $c->req->json or return $c->render(status => 400, json => {error => 'not JSON'});
    my $v = $c->validation->input($word);
    $v->required('key')->like(qr/\A\p{Lowercase_Letter}+\z/);
    $v->required('value')->size(1, 20);
    return $c->render(status => 422, json => {error => $v->failed}) if $v->has_error;
    $words{$v->param('key')} = $v->param('value');
    $c->render(status => 201, json => \%words);
};

get '/broken' => sub ($c) { die "no such shelf\n" };

app->start;

__DATA__

@@ index.html.ep
<!DOCTYPE html>
<title>Words</title>
<h1>Words</h1>
