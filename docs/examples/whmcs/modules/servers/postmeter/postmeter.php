<?php
/**
 * Postmeter as a provisioning module of WHMCS: each service is a subaccount, known by its external_id "whmcs-<service id>".
 *
 * Server: host name of the relay's HTTP side, and in "Access Hash" an API key of the master with the scope full.
 *
 * A function answers "success", or says what is wrong; WHMCS shows that to its administrator.
 */

use Illuminate\Database\Capsule\Manager as Capsule;

if (!defined('WHMCS')) {
    die('This file is a module of WHMCS.');
}

function postmeter_MetaData()
{
    return [
        'DisplayName' => 'Postmeter',
        'APIVersion' => '1.1',
        'RequiresServer' => true,
        'DefaultSSLPort' => '443',
        'ServiceSingleSignOnLabel' => 'Log in to the mail account',
    ];
}

function postmeter_ConfigOptions()
{
    return [
        'Plan' => ['Type' => 'text', 'Size' => '40', 'Description' => 'The name of a plan of yours'],
        'Monthly limit' => ['Type' => 'text', 'Size' => '12', 'Description' => 'Only for a plan with a limit of its own: units a month'],
    ];
}

function postmeter_TestConnection(array $params)
{
    try {
        postmeter_ask($params, 'TestConnection');
        return ['success' => true, 'error' => ''];
    } catch (Exception $e) {
        return ['success' => false, 'error' => $e->getMessage()];
    }
}

/** Terminated and ordered again, the same service gets its account back. */
function postmeter_CreateAccount(array $params)
{
    return postmeter_done(function () use ($params) {
        $known = postmeter_find($params);
        if ($known !== null) {
            if ($known['state'] !== 'closed') {
                throw new Exception('The service has an account already: ' . $known['id'] . ', which is ' . $known['state'] . '.');
            }
            postmeter_ask($params, 'Reopen', ['id' => $known['id']]);
            return;
        }
        $client = $params['clientsdetails'];
        $made = postmeter_ask($params, 'CreateAccount', [
            'created' => $params['model']->created_at->getTimestamp(),
            'name' => $params['domain'] ?: trim($client['companyname'] ?: $client['fullname']),
            'owner_name' => $client['fullname'],
            'owner_email' => $client['email'],
            'clientid' => (string) $client['id'],
        ] + postmeter_package($params));
        $params['model']->serviceProperties->save([
            'Username' => $made['credential']['username'],
            'Password' => $made['credential']['password'],
        ]);
    });
}

function postmeter_SuspendAccount(array $params)
{
    return postmeter_act($params, 'SuspendAccount', ['reason' => $params['suspendreason'] ?: null]);
}

function postmeter_UnsuspendAccount(array $params)
{
    return postmeter_act($params, 'UnsuspendAccount');
}

/** What was sent stays on your statement, and mail that was accepted is still delivered. */
function postmeter_TerminateAccount(array $params)
{
    return postmeter_act($params, 'TerminateAccount');
}

function postmeter_ChangePackage(array $params)
{
    return postmeter_act($params, 'ChangePackage', postmeter_package($params));
}

/** Once a day, for all services of the server. WHMCS shows the units as bandwidth. */
function postmeter_UsageUpdate(array $params)
{
    $cursor = null;
    do {
        $more = $cursor === null ? '' : '&cursor=' . rawurlencode($cursor);
        $page = postmeter_ask($params, 'UsageUpdate', ['more' => $more]);
        foreach ($page['data'] as $account) {
            if (!preg_match('/^whmcs-(\d+)$/', (string) $account['external_id'], $service)) {
                continue;
            }
            Capsule::table('tblhosting')->where('id', $service[1])->where('server', $params['serverid'])->update([
                'bwusage' => $account['usage']['used'],
                'bwlimit' => $account['usage']['limit'] ?? 0,
                'lastupdate' => date('Y-m-d H:i:s'),
            ]);
        }
        $cursor = $page['next_cursor'];
    } while ($cursor !== null);
}

function postmeter_ServiceSingleSignOn(array $params)
{
    try {
        $id = postmeter_id($params);
        $link = postmeter_ask($params, 'ServiceSingleSignOn', ['id' => $id, 'reason' => 'Single sign-on of WHMCS']);
        return ['success' => true, 'redirectTo' => $link['url']];
    } catch (Exception $e) {
        return ['success' => false, 'errorMsg' => $e->getMessage()];
    }
}

function postmeter_package(array $params)
{
    $limit = trim((string) $params['configoption2']);
    // What is no number goes as it is, and the relay says so: as an integer "10.000" would be ten.
    $units = ctype_digit($limit) ? (int) $limit : $limit;
    return ['plan' => $params['configoption1'], 'monthly_limit' => $limit === '' ? null : $units];
}

function postmeter_act(array $params, $call, array $values = [])
{
    return postmeter_done(function () use ($params, $call, $values) {
        postmeter_ask($params, $call, ['id' => postmeter_id($params)] + $values);
    });
}

function postmeter_done(callable $act)
{
    try {
        $act();
        return 'success';
    } catch (Exception $e) {
        return $e->getMessage();
    }
}

function postmeter_find(array $params)
{
    return postmeter_ask($params, 'Find')['data'][0] ?? null;
}

function postmeter_id(array $params)
{
    $account = postmeter_find($params);
    if ($account === null) {
        throw new Exception('The relay knows no account of this service; create it first.');
    }
    return $account['id'];
}

/** Plays a call of calls.json. A member whose value is null is left out. */
function postmeter_ask(array $params, $name, array $values = [])
{
    static $calls = null;
    $calls = $calls ?? json_decode(file_get_contents(__DIR__ . '/calls.json'), true, 16, JSON_THROW_ON_ERROR);
    $values += ['serviceid' => $params['serviceid'] ?? ''];
    $call = $calls[$name];
    $headers = ['Accept: application/json', 'Authorization: Bearer ' . $params['serveraccesshash']];
    if (isset($call['idempotency_key'])) {
        $headers[] = 'Idempotency-Key: ' . postmeter_fill($call['idempotency_key'], $values);
    }
    $options = [CURLOPT_CUSTOMREQUEST => $call['method'], CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 30];
    if (isset($call['body'])) {
        $headers[] = 'Content-Type: application/json';
        $options[CURLOPT_POSTFIELDS] = json_encode((object) postmeter_fill($call['body'], $values), JSON_THROW_ON_ERROR);
    }
    $scheme = empty($params['serversecure']) ? 'http' : 'https';
    $port = empty($params['serverport']) ? '' : ':' . $params['serverport'];
    $curl = curl_init($scheme . '://' . $params['serverhostname'] . $port . postmeter_fill($call['path'], $values));
    curl_setopt_array($curl, $options + [CURLOPT_HTTPHEADER => $headers]);
    $text = curl_exec($curl);
    $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
    if ($text === false) {
        throw new Exception('The relay could not be reached: ' . curl_error($curl));
    }
    $answer = json_decode($text, true);
    if (function_exists('logModuleCall')) {
        $links = [$answer['url'] ?? null, $answer['hand_over']['log_in_url'] ?? null];
        $secrets = [$params['serveraccesshash'], $answer['credential']['password'] ?? null, ...$links];
        logModuleCall('postmeter', $name, $options[CURLOPT_POSTFIELDS] ?? '', $text, '', array_values(array_filter($secrets)));
    }
    if ($status >= 300) {
        throw new Exception(postmeter_problem($answer, $status));
    }
    return $answer;
}

/** RFC 9457: what is wrong, and with which member. */
function postmeter_problem($problem, $status)
{
    $texts = [$problem['detail'] ?? $problem['title'] ?? "The relay answered $status."];
    foreach ($problem['errors'] ?? [] as $error) {
        $texts[] = $error['pointer'] . ': ' . $error['detail'];
    }
    return implode(' ', $texts);
}

function postmeter_fill($template, array $values)
{
    if (is_array($template)) {
        return array_filter(array_map(fn ($part) => postmeter_fill($part, $values), $template), fn ($part) => $part !== null);
    }
    if (preg_match('/^\{(\w+)\}$/', $template, $whole)) {
        return $values[$whole[1]] ?? null;
    }
    return preg_replace_callback('/\{(\w+)\}/', fn ($name) => (string) ($values[$name[1]] ?? ''), $template);
}
