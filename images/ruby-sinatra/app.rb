# A shop's small API: words in several languages, and reports about them.
require 'sinatra/base'
require 'json'

# The application.
class Shop < Sinatra::Base
  autoload :Report, File.expand_path('lib/report', __dir__)

  set :show_exceptions, false
  WORDS = { 'coffee' => 'café', 'tea' => 'té' }

  get('/') { erb :index }

  get '/words' do
    content_type :json
    JSON.generate(WORDS)
  end

  post '/words' do
    word = JSON.parse(request.body.read)
    halt 422 unless word['key'].to_s.match?(/\A\p{Lower}+\z/)
    WORDS[word['key']] = word['value']
    [201, JSON.generate(WORDS)]
  rescue JSON::ParserError
    halt 400
  end

  get '/report/:kind' do |kind|
    halt 404 unless Report.respond_to?(kind)
    Report.public_send(kind, WORDS)
  end

  get '/encoded/:charset' do |charset|
    WORDS.values.sort.join(' ').encode(charset).unpack1('H*')
  end

  get('/broken') { raise 'no such shelf' }
  error { 'sorry' }
end
